import { assert, layer } from "@effect/vitest"
import { type V1ConfigMap } from "@kubernetes/client-node"
import { MiniclusterService } from "@kuberun/minicluster"
import { Effect, Layer, Schema } from "effect"
import { makeWith } from "../src/Minicluster.ts"
import { call, listAt, textAt, until } from "./support/Client.ts"
import { create, pathOf } from "./support/Samples.ts"

/** Short enough for a watch that fell behind to meet 410, often. */
const history = 6

const Index = (below: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: below - 1 }))
/** One of six objects is created, labelled as one of the selection, labelled as none, or deleted. */
const Step = Schema.Struct({ what: Schema.Literals(["create", "select", "deselect", "delete"]), which: Index(6) })
/** Enough for several watches, one after the other. */
const Steps = Schema.Array(Step).check(Schema.isBetweenLength(150, 200))

const path = pathOf("configmaps")
const selector = "chosen=yes"

/** What a client saw happen, in order. */
interface Seen {
  readonly type: "add" | "update" | "delete"
  readonly name: string
  readonly uid: string
  readonly version: number
}

/** client-node's informer, started again after each error, as its documentation says; it waits less long. */
const informer = Effect.fnUntraced(function*(kubeconfig: string, labelSelector: string | undefined) {
  const { CoreV1Api, KubeConfig, ListWatch, Watch } = yield* Effect.promise(() => import("@kubernetes/client-node"))
  const config = new KubeConfig()
  config.loadFromString(kubeconfig)
  const api = config.makeApiClient(CoreV1Api)
  // It takes a watch that says nothing for dead after this time, in milliseconds.
  const watch = Object.assign(new Watch(config), { requestTimeoutMs: 150 })
  let lists = 0
  const list = () => {
    lists++
    return api.listNamespacedConfigMap({
      namespace: "default",
      ...(labelSelector === undefined ? {} : { labelSelector })
    })
  }
  const soon = { delayFn: () => Promise.resolve() }
  const cache = new ListWatch<V1ConfigMap>(path, watch, list, false, labelSelector, undefined, soon)
  const seen: Array<Seen> = []
  let isOver = false
  const start = () => {
    if (!isOver) void cache.start()
  }
  for (const type of ["add", "update", "delete"] as const) {
    cache.on(type, ({ metadata = {} }) => {
      const { name = "", resourceVersion, uid = "" } = metadata
      seen.push({ type, name, uid, version: Number(resourceVersion) })
    })
  }
  cache.on("error", () => {
    setImmediate(start)
  })
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => {
      isOver = true
      return cache.stop()
    })
  )
  yield* Effect.promise(() => cache.start())
  const versions = () =>
    cache.list().map(({ metadata }) => `${metadata?.name}@${metadata?.resourceVersion}`).toSorted().join()
  return { seen, versions, lists: () => lists }
})

/** Each object is added, changed and deleted in the order of its versions, and none of that twice. */
const isInOrder = (seen: ReadonlyArray<Seen>) => {
  const newest = new Map<string, Seen>()
  for (const event of seen) {
    const before = newest.get(event.name)
    const version = before?.version ?? 0
    const isThere = before !== undefined && before.type !== "delete"
    assert.strictEqual(isThere, event.type !== "add", `${JSON.stringify(before)} ${JSON.stringify(event)}`)
    // A deletion that was found by listing again comes with the last version that was seen.
    if (event.type === "delete") assert.isAtLeast(event.version, version)
    else assert.isAbove(event.version, version, `${JSON.stringify(before)} ${JSON.stringify(event)}`)
    newest.set(event.name, event)
  }
}

/** How often each fault happened, over all runs. */
const happened = new Map<string, number>()
const count = (what: string, times = 1) => happened.set(what, (happened.get(what) ?? 0) + times)

const Cluster = Layer.effect(MiniclusterService, makeWith({}, { history }))

layer(Cluster, { excludeTestServices: true })("client-node's informer", (it) => {
  it.effect.prop(
    "has at the end what is there, and saw no change twice and none out of order, whatever became of its watches",
    { steps: Steps, after: Index(3), seed: Index(1e6), selects: Schema.Boolean },
    ({ after, seed, selects, steps }) =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        const about = { resources: ["configmaps"], share: 0.3 }
        const faults = {
          Cut: { watch: { _tag: "Cut", after } },
          Silent: { watch: { _tag: "Silent", after } },
          Stale: { watch: { _tag: "Stale", after, millis: 20 } },
          410: { verbs: ["watch"], error: { code: 410 } },
          503: { verbs: ["list"], error: { code: 503 } }
        }
        const rules = Object.values(faults).map((fault) => ({ ...about, ...fault }))
        yield* cluster.faults.set({ seed, rules })
        const label = selects ? selector : undefined
        const client = yield* informer(cluster.kubeconfig, label)
        for (const [step, { what, which }] of steps.entries()) {
          const one = `${path}/object-${which}`
          const chosen = (value: string) =>
            call(cluster, "PATCH", one, {
              body: { metadata: { labels: { chosen: value } }, data: { step: String(step) } },
              contentType: "application/merge-patch+json"
            })
          if (what === "create") {
            yield* create(cluster, "configmaps", { name: `object-${which}`, labels: { chosen: "yes" } })
          } else if (what === "delete") yield* call(cluster, "DELETE", one)
          else yield* chosen(what === "select" ? "yes" : "no")
        }
        const { code } = yield* call(cluster, "PATCH", `${path}/kube-root-ca.crt`, {
          body: { metadata: { labels: { chosen: "yes" } }, data: { steps: JSON.stringify(steps) } },
          contentType: "application/merge-patch+json"
        })
        assert.strictEqual(code, 200)
        const fired = yield* cluster.faults.fired
        const names = Object.keys(faults)
        for (const { rule } of fired) count(names[rule] ?? "")
        const errors = fired.filter(({ fault }) => fault === "error").length
        count("410 of the history", Math.max(0, client.lists() - 1 - errors))
        yield* cluster.faults.clear
        let there = ""
        yield* until(cluster, `${path}${selects ? "?labelSelector=chosen%3Dyes" : ""}`, ({ body }) => {
          there = listAt(body, "items").map((item) =>
            `${textAt(item, "metadata", "name")}@${textAt(item, "metadata", "resourceVersion")}`
          ).toSorted().join()
          return client.versions() === there
        })
        isInOrder(client.seen)
      })),
    { arbitrary: { runs: 20 } }
  )

  it.effect("met every fault on its way", () =>
    Effect.sync(() => {
      for (const what of ["Cut", "Silent", "Stale", "410", "503", "410 of the history"]) {
        assert.isAbove(happened.get(what) ?? 0, 0, what)
      }
    }))
})
