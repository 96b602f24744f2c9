import { assert, it, layer } from "@effect/vitest"
import { layer as clusterLayer, type Minicluster, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { runCollector } from "../src/api/Collector.ts"
import { makeObject } from "../src/api/Controllers.ts"
import { makeStore } from "../src/api/Store.ts"
import { type Resource } from "../src/shapes/Resources.ts"
import { type Answer, at, call, follow, listAt, podBody, textAt, until } from "./support/Client.ts"
import { create, pathOf, refusalOf, uidOf, versionOf } from "./support/Samples.ts"

const configmaps = pathOf("configmaps")
const merging = (body: object) => ({ body, contentType: "application/merge-patch+json" })
const isGone = ({ code }: Answer) => code === 404

/** A configmap, and what owns it. */
const made = (
  cluster: Minicluster,
  name: string,
  metadata: object = {},
  namespace = "default"
): Effect.Effect<Answer> => create(cluster, "configmaps", { name, ...metadata }, namespace)

const reference = (owner: Answer, more: object = {}) => ({
  apiVersion: textAt(owner.body, "apiVersion"),
  kind: textAt(owner.body, "kind"),
  name: textAt(owner.body, "metadata", "name"),
  uid: uidOf(owner),
  ...more
})
const ownedBy = (...owners: ReadonlyArray<object>) => ({ ownerReferences: owners })
const get = (cluster: Minicluster, name: string) => call(cluster, "GET", `${configmaps}/${name}`)
const gone = (cluster: Minicluster, name: string) => until(cluster, `${configmaps}/${name}`, isGone)
const remove = (cluster: Minicluster, name: string, propagationPolicy?: string) =>
  call(cluster, "DELETE", `${configmaps}/${name}`, {
    body: propagationPolicy === undefined ? {} : { propagationPolicy }
  })
const free = (cluster: Minicluster, name: string) =>
  call(cluster, "PATCH", `${configmaps}/${name}`, merging({ metadata: { finalizers: null } }))
const hold = { finalizers: ["kuberun.test/hold"] }

layer(clusterLayer(), { excludeTestServices: true })("what is deleted", (it) => {
  it.effect("stays, marked, until nobody's finalizer is on it any more", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const before = yield* made(cluster, "held", hold)
      const watch = yield* follow(
        cluster,
        `${configmaps}?watch=true&fieldSelector=metadata.name%3Dheld&resourceVersion=${versionOf(before)}`
      )
      const marked = yield* remove(cluster, "held")
      assert.deepStrictEqual([marked.code, textAt(marked.body, "kind")], [200, "ConfigMap"])
      assert.match(textAt(marked.body, "metadata", "deletionTimestamp"), /^\d{4}-/)
      assert.strictEqual(at(marked.body, "metadata", "deletionGracePeriodSeconds"), 0)
      assert.strictEqual(versionOf(yield* remove(cluster, "held")), versionOf(marked))
      const late = yield* call(
        cluster,
        "PATCH",
        `${configmaps}/held`,
        merging({ metadata: { finalizers: [...hold.finalizers, "kuberun.test/late"] } })
      )
      assert.deepStrictEqual([late.code, textAt(late.body, "details", "causes", 0, "field")], [
        422,
        "metadata.finalizers"
      ])
      assert.strictEqual((yield* made(cluster, "held")).code, 409)
      const revived = yield* call(cluster, "PATCH", `${configmaps}/held`, merging({ data: { still: "there" } }))
      assert.strictEqual(
        textAt(revived.body, "metadata", "deletionTimestamp"),
        textAt(marked.body, "metadata", "deletionTimestamp")
      )
      assert.strictEqual((yield* free(cluster, "held")).code, 200)
      assert.strictEqual((yield* get(cluster, "held")).code, 404)
      yield* watch.until((events) => textAt(events.at(-1), "type") === "DELETED")
      assert.deepStrictEqual(watch.events().map((event) => textAt(event, "type")), ["MODIFIED", "MODIFIED", "DELETED"])
    }))

  it.effect("may be a pod, whose containers end before its finalizer is asked", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const path = `${pathOf("pods")}/held`
      yield* call(cluster, "POST", pathOf("pods"), {
        body: { ...podBody("held"), metadata: { name: "held", ...hold } }
      })
      yield* until(cluster, path, ({ body }) => textAt(body, "status", "phase") === "Running")
      yield* call(cluster, "DELETE", path)
      const ended = yield* until(
        cluster,
        path,
        ({ body }) => at(body, "status", "containerStatuses", 0, "state", "terminated") !== undefined
      )
      assert.notStrictEqual(textAt(ended.body, "metadata", "deletionTimestamp"), "")
      yield* call(cluster, "PATCH", path, merging({ metadata: { finalizers: null } }))
      yield* until(cluster, path, isGone)
    }))

  it.effect("takes with it what it owns, and what that owns; what another owns too loses the reference only", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const [owner, other] = [yield* made(cluster, "owner"), yield* made(cluster, "other")]
      const child = yield* made(cluster, "child", ownedBy(reference(owner)))
      yield* made(cluster, "grandchild", ownedBy(reference(child)))
      yield* made(cluster, "shared", ownedBy(reference(owner), reference(other)))
      yield* create(cluster, "secrets", { name: "secret", ...ownedBy(reference(owner)) })
      const deleted = yield* remove(cluster, "owner", "Background")
      assert.strictEqual(textAt(deleted.body, "status"), "Success")
      for (const path of [`${configmaps}/child`, `${configmaps}/grandchild`, `${pathOf("secrets")}/secret`]) {
        yield* until(cluster, path, isGone)
      }
      const shared = yield* until(
        cluster,
        `${configmaps}/shared`,
        ({ body }) => listAt(body, "metadata", "ownerReferences").length === 1
      )
      assert.strictEqual(textAt(shared.body, "metadata", "ownerReferences", 0, "uid"), uidOf(other))
      yield* remove(cluster, "other")
      yield* gone(cluster, "shared")
    }))

  it.effect("in the foreground waits for those that block it, and for no other", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const owner = yield* made(cluster, "front")
      yield* made(cluster, "blocks", { ...hold, ...ownedBy(reference(owner, { blockOwnerDeletion: true })) })
      yield* made(cluster, "blocks-not", { ...hold, ...ownedBy(reference(owner)) })
      yield* made(cluster, "goes", ownedBy(reference(owner, { blockOwnerDeletion: true })))
      const marked = yield* remove(cluster, "front", "Foreground")
      assert.deepStrictEqual(listAt(marked.body, "metadata", "finalizers"), ["foregroundDeletion"])
      yield* gone(cluster, "goes")
      yield* until(cluster, `${configmaps}/blocks-not`, ({ body }) =>
        textAt(body, "metadata", "deletionTimestamp") !== "")
      assert.strictEqual((yield* get(cluster, "front")).code, 200)
      yield* free(cluster, "blocks")
      yield* gone(cluster, "front")
      assert.strictEqual((yield* get(cluster, "blocks-not")).code, 200)
      yield* free(cluster, "blocks-not")
      yield* made(cluster, "alone")
      yield* remove(cluster, "alone", "Foreground")
      yield* gone(cluster, "alone")
    }))

  it.effect("goes in every way of deletion, also where there is nothing that it owns", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (const propagationPolicy of ["Background", "Foreground", "Orphan"]) {
        yield* call(cluster, "POST", pathOf("pods"), { body: podBody("pod") })
        yield* create(cluster, "namespaces", { name: "any" })
        yield* made(cluster, "content", {}, "any")
        for (const path of [`${pathOf("pods")}/pod`, "/api/v1/namespaces/any"]) {
          assert.strictEqual((yield* call(cluster, "DELETE", path, { body: { propagationPolicy } })).code, 200)
          yield* until(cluster, path, isGone)
        }
      }
    }))

  it.effect("lets go of what it owns, where it is asked to orphan", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (const body of [{ propagationPolicy: "Orphan" }, { orphanDependents: true }]) {
        const owner = yield* made(cluster, "parent")
        yield* made(cluster, "orphan", ownedBy(reference(owner)))
        yield* call(cluster, "DELETE", `${configmaps}/parent`, { body })
        yield* gone(cluster, "parent")
        const orphan = yield* get(cluster, "orphan")
        assert.deepStrictEqual([orphan.code, listAt(orphan.body, "metadata", "ownerReferences")], [200, []])
        yield* remove(cluster, "orphan")
      }
    }))

  it.effect("is what names an owner that never was, or that is in another namespace", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const never = {
        apiVersion: "apps/v1",
        kind: "Deployment",
        name: "never",
        uid: "00000000-0000-0000-0000-000000000000"
      }
      assert.strictEqual((yield* made(cluster, "lost", ownedBy(never))).code, 201)
      yield* gone(cluster, "lost")
      yield* made(cluster, "later")
      yield* call(cluster, "PATCH", `${configmaps}/later`, merging({ metadata: ownedBy(never) }))
      yield* gone(cluster, "later")
      const foreign = yield* made(cluster, "foreign", {}, "kube-system")
      yield* made(cluster, "lost", ownedBy(reference(foreign)))
      yield* gone(cluster, "lost")
      const namespace = yield* call(cluster, "GET", "/api/v1/namespaces/kube-system")
      yield* made(cluster, "owned", ownedBy(reference(namespace)))
      yield* made(cluster, "lost", ownedBy(never))
      yield* gone(cluster, "lost")
      assert.strictEqual((yield* get(cluster, "owned")).code, 200)
    }))
})

layer(clusterLayer(), { excludeTestServices: true })("a namespace that is deleted", (it) => {
  it.effect("is emptied, takes nothing new meanwhile, and ends when nothing is left in it", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const path = "/api/v1/namespaces/ending"
      const first = yield* create(cluster, "namespaces", { name: "ending" })
      yield* made(cluster, "plain", {}, "ending")
      yield* made(cluster, "held", hold, "ending")
      yield* call(cluster, "POST", `${path}/pods`, { body: podBody("running") })
      yield* until(cluster, `${path}/pods/running`, ({ body }) => textAt(body, "status", "phase") === "Running")
      const marked = yield* call(cluster, "DELETE", path)
      assert.deepStrictEqual([marked.code, textAt(marked.body, "kind"), textAt(marked.body, "status", "phase")], [
        200,
        "Namespace",
        "Terminating"
      ])
      for (
        const gone of ["configmaps/plain", "serviceaccounts/default", "configmaps/kube-root-ca.crt", "pods/running"]
      ) {
        yield* until(cluster, `${path}/${gone}`, isGone)
      }
      const refused = yield* made(cluster, "new", {}, "ending")
      assert.deepStrictEqual(refusalOf(refused), [
        403,
        "Forbidden",
        `configmaps "new" is forbidden: unable to create new content in namespace ending because it is being terminated`
      ])
      assert.strictEqual(textAt((yield* call(cluster, "GET", path)).body, "status", "phase"), "Terminating")
      yield* call(cluster, "PATCH", `${path}/configmaps/held`, merging({ metadata: { finalizers: null } }))
      yield* until(cluster, path, isGone)
      const again = yield* create(cluster, "namespaces", { name: "ending" })
      assert.notStrictEqual(uidOf(again), uidOf(first))
      const events = yield* call(cluster, "GET", `${path}/events`)
      assert.deepStrictEqual(listAt(events.body, "items"), [])
      assert.strictEqual((yield* made(cluster, "plain", {}, "ending")).code, 201)
    }))

  it.effect("is none of those that the cluster cannot be without", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (const name of ["default", "kube-system", "kube-public"]) {
        assert.deepStrictEqual(refusalOf(yield* call(cluster, "DELETE", `/api/v1/namespaces/${name}`)), [
          403,
          "Forbidden",
          `namespaces "${name}" is forbidden: this namespace may not be deleted`
        ])
      }
    }))
})

it.live("a collector that lost changes deletes nothing whose owner is there, and all whose owner is not", () =>
  Effect.gen(function*() {
    const store = yield* makeStore(4)
    yield* runCollector(store)
    const uid = (resource: Resource, name: string) =>
      Effect.map(store.get(resource, "default", name), ({ metadata }) => metadata.uid)
    // More than the history holds, before the collector can look.
    const burst = Effect.fnUntraced(function*(round: number) {
      for (const name of ["stays", "goes"]) yield* makeObject(store, "secrets", `${name}-${round}`, "default", {})
      for (const name of ["stays", "goes"]) {
        const owner = {
          apiVersion: "v1",
          kind: "Secret",
          name: `${name}-${round}`,
          uid: yield* uid("secrets", `${name}-${round}`)
        }
        yield* makeObject(store, "configmaps", `${name}-${round}`, "default", { metadata: ownedBy(owner) })
      }
      yield* store.remove("secrets", "default", `goes-${round}`)
      for (let count = 0; count < 10; count++) yield* makeObject(store, "leases", `${round}-${count}`, "default", {})
    })
    for (const round of [0, 1, 2, 3]) yield* burst(round)
    let names: ReadonlyArray<string> = []
    const look = Effect.map(store.list("configmaps", "default"), ({ items }) => {
      names = items.map(({ metadata }) => metadata.name).toSorted()
    })
    yield* Effect.repeat(Effect.andThen(Effect.yieldNow, look), {
      until: () => names.every((name) => !name.startsWith("goes"))
    })
    assert.deepStrictEqual(names, ["stays-0", "stays-1", "stays-2", "stays-3"])
  }))
