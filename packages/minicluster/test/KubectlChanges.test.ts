/** Objects as kubectl applies, edits, patches and deletes them, and waits for it. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, together } from "./support/Kubectl.ts"

const configMap = (name: string, data: object, metadata: object = {}): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...metadata },
  data
})

describe.skipIf(!hasKubectl)("kubectl, where it is in PATH,", () => {
  layer(Kubectl.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("applies: creates, leaves unchanged, changes, takes away what left the manifest, and shows the difference first", () =>
      Effect.gen(function*() {
        const { fails, run, says, write } = yield* Kubectl
        write("conf.json", configMap("conf", { a: "1", b: "2" }, { labels: { tier: "front", keep: "1" } }))
        yield* says("apply -f conf.json --dry-run=server", "configmap/conf created (server dry run)")
        yield* says("apply -f conf.json", "configmap/conf created")
        yield* says("apply -f conf.json", "configmap/conf unchanged")
        yield* says("diff -f conf.json", "")
        // What others wrote stays.
        yield* says("label cm conf by=hand", "configmap/conf labeled")
        write("conf.json", configMap("conf", { a: "one" }, { labels: { keep: "1" } }))
        const { code, out } = yield* run("diff -f conf.json")
        assert.strictEqual(code, 1)
        for (const line of ["-  a: \"1\"", "-  b: \"2\"", "+  a: one", "-    tier: front"]) {
          assert.include(out, `\n${line}\n`)
        }
        yield* says("apply -f conf.json", "configmap/conf configured")
        yield* says(`get cm conf -o jsonpath='{.data} {.metadata.labels}'`, `{"a":"one"} {"by":"hand","keep":"1"}`)
        yield* says("apply view-last-applied cm conf -o json", /"a": "one"/)
        yield* says("apply -f conf.json --server-side", "configmap/conf serverside-applied")
        write("other.json", configMap("other", { c: "3" }))
        yield* says("apply --server-side -f other.json", "configmap/other serverside-applied")
        yield* says("get cm other -o jsonpath={.data.c}", "3")
        yield* says(
          "apply -f conf.json -f other.json",
          /^configmap\/conf (unchanged|configured)\nconfigmap\/other configured\n$/
        )
        yield* says("replace -f conf.json", "configmap/conf replaced")
        yield* says("get cm conf -o jsonpath='{.data} {.metadata.labels}'", `{"a":"one"} {"keep":"1"}`)
        write("gone.json", configMap("gone", {}))
        yield* fails(
          "replace -f gone.json",
          `Error from server (NotFound): error when replacing "gone.json": configmaps "gone" not found`
        )
        yield* says("delete -f conf.json -f other.json", [`configmap "conf" deleted`, `configmap "other" deleted`])
        write("kustomization.yaml", "namePrefix: my-\nresources: [other.json]\n")
        yield* says("apply -k .", "configmap/my-other created")
        yield* says("delete -k .", `configmap "my-other" deleted`)
        yield* says("create cm plain", "configmap/plain created")
        write("plain.json", configMap("plain", { a: "1" }))
        const applied = yield* run("apply -f plain.json")
        assert.include(applied.err, "is missing the kubectl.kubernetes.io/last-applied-configuration annotation")
        assert.strictEqual(applied.out, "configmap/plain configured\n")
      }))

    it.effect("edits by a program, and labels, annotates and patches in each form", () =>
      Effect.gen(function*() {
        const { fails, says, write, home } = yield* Kubectl
        write("shout.sh", `#!/bin/sh\nsed -i 's/: quiet/: loud/' "$1"\n`, 0o755)
        const environment = { EDITOR: `${home}/shout.sh` }
        yield* says("create cm notes --from-literal=voice=quiet", "configmap/notes created")
        yield* says("edit cm notes", "configmap/notes edited", { environment })
        yield* says("get cm notes -o jsonpath={.data.voice}", "loud")
        yield* fails("edit cm notes", "Edit cancelled, no changes made.", 0, { environment })
        yield* says("label cm notes a=1 b=2", "configmap/notes labeled")
        yield* fails("label cm notes a=2", "error: 'a' already has a value (1), and --overwrite is false")
        yield* says("label cm notes a=2 --overwrite", "configmap/notes labeled")
        yield* says("label cm notes a=2", "configmap/notes not labeled")
        yield* says("label cm notes b-", "configmap/notes unlabeled")
        yield* says("get cm --show-labels -l a=2 --no-headers", /^notes +1 +\d+s +a=2\n$/)
        yield* says("get cm -L a -l a", ["NAME  DATA  AGE  A", "notes  1  Ns  2"])
        yield* says("annotate cm notes why='because it is'", "configmap/notes annotated")
        yield* fails(
          "annotate cm notes why=x",
          "error: --overwrite is false but found the following declared annotation(s): 'why' already has a value (because it is)"
        )
        yield* says("annotate cm notes why-", "configmap/notes annotated")
        yield* says("label cm notes a-", "configmap/notes unlabeled")
        yield* says("get cm notes -o jsonpath='{.metadata.labels}{.metadata.annotations}'", "")
        yield* says(`patch cm notes -p '{"data":{"x":"1"}}'`, "configmap/notes patched")
        yield* says(`patch cm notes -p '{"data":{"x":"1"}}'`, "configmap/notes patched (no change)")
        yield* says(`patch cm notes --type=merge -p '{"data":{"x":null,"y":"2"}}'`, "configmap/notes patched")
        yield* says(
          `patch cm notes --type=json -p '[{"op":"test","path":"/data/y","value":"2"},{"op":"move","from":"/data/y","path":"/data/z"}]'`,
          "configmap/notes patched"
        )
        yield* says("get cm notes -o jsonpath={.data}", `{"voice":"loud","z":"2"}`)
        yield* says(`patch sa default -p '{"secrets":[{"name":"pw"}]}'`, "serviceaccount/default patched")
        yield* says("get sa default --no-headers", "default  1  Ns")
        yield* fails(
          `patch cm notes --type=json -p '[{"op":"remove","path":"/data/none"}]'`,
          "The request is invalid: the server rejected our request due to an error in our request"
        )
      }))

    it.effect("deletes by name, label, file and cascade, and waits for it", () =>
      Effect.gen(function*() {
        const { fails, run, says, write } = yield* Kubectl
        for (const [cascade, left] of [["background", false], ["foreground", false], ["orphan", true]] as const) {
          yield* says("create cm owner", "configmap/owner created")
          const { out: uid } = yield* run("get cm owner -o jsonpath={.metadata.uid}")
          const owner = { apiVersion: "v1", kind: "ConfigMap", name: "owner", uid, blockOwnerDeletion: true }
          write("child.json", configMap("child", {}, { ownerReferences: [owner] }))
          yield* says("create -f child.json", "configmap/child created")
          yield* says(`delete cm owner --cascade=${cascade}`, `configmap "owner" deleted`)
          if (left) {
            yield* says("get cm child -o jsonpath={.metadata.ownerReferences}", "")
            yield* says("delete cm child", `configmap "child" deleted`)
          } else {
            yield* run("wait --for=delete cm/child --timeout=20s")
            yield* fails("get cm child", `Error from server (NotFound): configmaps "child" not found`)
          }
        }
        yield* together(...["x", "y"].map((name) => run(`create cm ${name}`)))
        yield* says("label cm x y del=yes", ["configmap/x labeled", "configmap/y labeled"])
        yield* says("delete cm -l del=yes --dry-run=server", [
          `configmap "x" deleted (server dry run)`,
          `configmap "y" deleted (server dry run)`
        ])
        yield* says("delete cm -l del=yes", [`configmap "x" deleted`, `configmap "y" deleted`])
        yield* says("delete cm x --ignore-not-found", "")
        yield* run("create ns doomed")
        yield* run("create cm inside -n doomed")
        yield* says("delete ns doomed", `namespace "doomed" deleted`)
        yield* fails("get ns doomed", `Error from server (NotFound): namespaces "doomed" not found`)
        yield* says("get cm inside -n doomed --ignore-not-found", "")
        yield* run("create cm one -n kube-system")
        yield* says("delete cm --all -n kube-system", /configmap "one" deleted\n/)
      }))

    it.effect("waits for what is created, and for a value", () =>
      Effect.gen(function*() {
        const { fails, follow, says } = yield* Kubectl
        yield* fails("wait --for=create cm/never --timeout=100ms", "error: timed out waiting for the condition")
        yield* fails(
          "wait --for=condition=Ready cm/never",
          `Error from server (NotFound): configmaps "never" not found`
        )
        const created = yield* follow("wait --for=create cm/later --timeout=20s")
        yield* says("create cm later --from-literal=state=new", "configmap/later created")
        assert.strictEqual((yield* created.end).out, "configmap/later condition met\n")
        const ready = yield* follow("wait --for=jsonpath={.data.state}=ready cm/later --timeout=20s")
        yield* says(`patch cm later -p '{"data":{"state":"ready"}}'`, "configmap/later patched")
        assert.strictEqual((yield* ready.end).out, "configmap/later condition met\n")
        const gone = yield* follow("wait --for=delete cm/later --timeout=20s")
        yield* says("delete cm later", `configmap "later" deleted`)
        assert.deepInclude(yield* gone.end, { code: 0, err: "" })
      }))
  })
})
