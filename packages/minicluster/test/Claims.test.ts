import { assert, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { call, eventually, outputOf, podBody, pods, runningPod, textAt } from "./support/Client.ts"

const claims = "/api/v1/namespaces/default/persistentvolumeclaims"

it.live("a claim is bound at once to a folder, which outlives its pods and goes with it", () =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "claims-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const cluster = yield* make({ directory })
    const created = yield* call(cluster, "POST", claims, {
      body: {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: "disk" },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } }
      }
    })
    const uid = textAt(created.body, "metadata", "uid")
    const bound = yield* call(cluster, "GET", `${claims}/disk`)
    assert.deepStrictEqual(
      [textAt(bound.body, "status", "phase"), textAt(bound.body, "spec", "volumeName")],
      ["Bound", `pvc-${uid}`]
    )
    const [own = ""] = readdirSync(directory)
    const folder = join(directory, own, "claims", uid)
    const container = { name: "main", image: "busybox", volumeMounts: [{ name: "v", mountPath: "/kept" }] }
    const spec = { containers: [container], volumes: [{ name: "v", persistentVolumeClaim: { claimName: "disk" } }] }
    for (const [name, wanted] of [["first", "x\n"], ["second", "x\nx\n"]] as const) {
      yield* Effect.scoped(Effect.gen(function*() {
        yield* runningPod(cluster, podBody(name, "", spec))
        const path = cluster.isolation.length === 0 ? "/kept" : folder
        assert.strictEqual(yield* outputOf(cluster, name, `echo x >> ${path}/f; cat ${path}/f`), wanted)
        yield* call(cluster, "DELETE", `${pods}/${name}?gracePeriodSeconds=0`)
      }))
    }
    assert.isTrue(existsSync(join(folder, "f")))
    yield* call(cluster, "DELETE", `${claims}/disk`)
    yield* eventually(() => !existsSync(folder))
  }))
