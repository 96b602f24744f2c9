import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Clock, Effect, Exit, Logger, Ref } from "effect"
import {
  type Cluster,
  ClusterError,
  type Config,
  decodeConfig,
  Forbidden,
  type Pod,
  type PodManifest,
  ServerFault
} from "kuberun"
import { holdersOf, holderValue, releaseKey } from "../src/modes/Holders.ts"
import { make } from "./Replicas.ts"

const worldOf = Effect.fn(function*(pod: Readonly<Record<string, unknown>> = {}) {
  const fake = yield* FakeCluster.make(FakeCluster.calmPlan)
  const config: Config = yield* Effect.orDie(decodeConfig({ pod: { mode: "user", ...pod } }))
  return { ...(yield* make(fake, config)), fake }
})

type World = Effect.Success<ReturnType<typeof worldOf>>

const refused = (detail: string) =>
  Effect.fail(new ClusterError({ operation: "list leases in default", reason: new Forbidden({ detail }) }))

/** Warnings of whatever runs with this. */
const warnings = () => {
  const logged: Array<string> = []
  const layer = Logger.layer([
    Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn" || logLevel === "Error") logged.push(String(message))
    })
  ])
  return { logged, layer }
}

const labels = {
  "app.kubernetes.io/managed-by": "kuberun",
  "app.kubernetes.io/instance": "kuberun",
  "kuberun.dev/mode": "user"
}

/** Puts a pod up that nobody here made. */
const putUp = ({ store }: World, name: string, metadata: Partial<PodManifest["metadata"]>) =>
  store.createPod({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", labels, ...metadata, name },
    spec: { containers: [{ name: "shell" }] }
  })

const names = ({ fake }: World) => Effect.map(fake.world.pods, (pods) => pods.map(({ metadata }) => metadata.name))
const theirHolders = ({ fake }: World) => Effect.map(fake.world.pods, (pods) => pods.flatMap((pod) => holdersOf(pod)))

/** Changes annotations past everybody. */
const annotate = (world: World, annotations: Readonly<Record<string, string | null>>) =>
  Effect.flatMap(
    world.fake.world.pods,
    ([pod]) => pod === undefined ? Effect.void : world.store.patchPod(pod.metadata, { annotations })
  )

describe("a sweep", () => {
  it.effect("takes a dead replica's holders away once its Lease has lapsed, and the pod after the linger from then", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ linger: "40s" })
      yield* world.start()
      const dies = yield* world.start()
      yield* dies.connect("alice")
      yield* Time.pass("45 seconds")
      yield* dies.crash
      yield* Time.pass("19 seconds")
      assert.lengthOf(yield* theirHolders(world), 1)
      yield* Time.pass("25 seconds")
      assert.lengthOf(yield* theirHolders(world), 0)
      assert.lengthOf(yield* names(world), 1)
      yield* Time.pass("15 seconds")
      assert.lengthOf(yield* names(world), 1)
      yield* Time.pass("25 seconds")
      assert.lengthOf(yield* names(world), 0)
      assert.deepStrictEqual(world.faults, [])
    }))

  it.effect("leaves those alone whose replica lives, however long it says nothing else", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      yield* world.start()
      const lives = yield* world.start()
      yield* lives.connect("alice")
      yield* Time.pass("1 hour")
      assert.lengthOf(yield* theirHolders(world), 1)
      assert.deepStrictEqual(world.deletions, [])
    }))

  it.effect("touches no pod of another installation, another mode, or nobody", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      yield* putUp(world, "theirs", { labels: { ...labels, "app.kubernetes.io/instance": "other" } })
      yield* putUp(world, "persistent", { labels: { ...labels, "kuberun.dev/mode": "persistent" } })
      yield* putUp(world, "plain", { labels: {} })
      yield* putUp(world, "left", {})
      yield* world.start()
      yield* Time.pass("5 minutes")
      assert.deepStrictEqual((yield* names(world)).toSorted(), ["persistent", "plain", "theirs"])
    }))

  it.effect("finds what an earlier life of the service has left: unheld, held by nobody alive, and ended", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ linger: "1m" })
      yield* putUp(world, "unheld", {})
      yield* putUp(world, "held", { annotations: { "holder.kuberun.dev/c9": "gone" } })
      yield* putUp(world, "ended", {})
      yield* Time.settle
      yield* world.fake.world.changePod("ended", (pod) => ({ ...pod, status: { phase: "Succeeded" } }))
      yield* world.start()
      yield* Time.pass("6 seconds")
      assert.deepStrictEqual((yield* names(world)).toSorted(), ["held", "unheld"])
      yield* Time.pass("53 seconds")
      assert.deepStrictEqual((yield* names(world)).toSorted(), ["held", "unheld"])
      yield* Time.pass("8 seconds")
      assert.deepStrictEqual(yield* names(world), ["held"])
      yield* Time.pass("1 minute")
      assert.deepStrictEqual(yield* names(world), [])
    }))

  it.effect("takes away a holder of this replica's own that it knows nothing of", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      const one = yield* world.start()
      yield* one.connect("alice")
      yield* Time.pass("10 seconds")
      yield* annotate(world, { "holder.kuberun.dev/lost": one.replica.id })
      yield* Time.pass("40 seconds")
      assert.deepStrictEqual((yield* theirHolders(world)).map(({ key }) => key), ["holder.kuberun.dev/c0"])
    }))

  it.effect("takes none of the holds away that are taken while it lists the pods", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      const one = yield* world.start(({ listPods }) => ({
        listPods: (query) => Effect.andThen(Effect.sleep("2 seconds"), listPods(query))
      }))
      for (let count = 0; count < 20; count++) {
        yield* one.connect(`user-${count}`)
        yield* Time.pass("400 millis")
      }
      yield* Time.pass("1 minute")
      assert.lengthOf(yield* theirHolders(world), 20)
      assert.deepStrictEqual(world.deletions, [])
    }))

  it.effect("takes hold again where somebody took this replica's hold away", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      const one = yield* world.start()
      yield* world.start()
      yield* one.connect("alice")
      yield* Time.pass("10 seconds")
      // With a linger of none the pod would go at once if it were found so by the other; whoever looks first decides.
      yield* annotate(world, { "holder.kuberun.dev/other": holderValue("somebody", false) })
      yield* annotate(world, { "holder.kuberun.dev/c0": null })
      yield* Time.pass("40 seconds")
      assert.include((yield* theirHolders(world)).map(({ key }) => key), "holder.kuberun.dev/c0")
    }))

  it.effect("takes hold again at once when this replica was cut off for so long that the others took it for dead", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ linger: "10m" })
      yield* world.start()
      const cutOff = yield* world.start()
      yield* cutOff.connect("alice")
      yield* Time.pass("45 seconds")
      yield* cutOff.cut
      yield* Time.pass("1 minute")
      assert.lengthOf(yield* theirHolders(world), 0)
      yield* cutOff.heal
      yield* Time.pass("4 seconds")
      assert.lengthOf(yield* theirHolders(world), 1)
      yield* Time.pass("20 minutes")
      assert.deepStrictEqual(world.deletions, [])
      assert.deepStrictEqual(world.faults, [])
    }))

  it.effect("takes nobody for dead where Leases may not be read, and says so once", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      const { layer, logged } = warnings()
      yield* putUp(world, "held", { annotations: { "holder.kuberun.dev/c9": "gone" } })
      yield* putUp(world, "unheld", {})
      yield* Effect.provide(world.start(() => ({ listLeases: () => refused("no list of leases") })), layer)
      yield* Time.pass("10 minutes")
      assert.deepStrictEqual(yield* names(world), ["held"])
      assert.deepStrictEqual(logged, [
        "cannot list leases in default: no list of leases; pods held by a replica that died are not cleaned up"
      ])
    }))

  it.effect("says nothing of a hold that was taken while the pods were being listed", () =>
    Effect.gen(function*() {
      const { layer, logged } = warnings()
      const world = yield* worldOf()
      const slow = yield* world.start(({ listPods }) => ({
        listPods: (query) => Effect.tap(listPods(query), () => Effect.sleep("8 seconds"))
      })).pipe(Effect.provide(layer))
      yield* slow.connect("alice")
      for (let times = 0; times < 20; times++) {
        const connection = yield* slow.connect("alice")
        yield* Time.pass("7 seconds")
        yield* connection.close
      }
      assert.deepStrictEqual(world.faults, [])
      assert.deepStrictEqual(logged, [])
    }))

  it.effect("takes a replica for alive that has no Lease and says so in its holds", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      yield* world.start()
      const without = yield* world.start(() => ({ createLease: () => refused("no creation of leases") }))
      yield* without.connect("alice")
      yield* Time.pass("10 minutes")
      assert.deepStrictEqual(
        (yield* theirHolders(world)).map(({ leased, replica }) => ({ leased, replica })),
        [{ leased: false, replica: without.replica.id }]
      )
      assert.deepStrictEqual(world.deletions, [])
    }))

  it.effect("writes holds anew when the replica gets its Lease after all", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      const mayNot = yield* Ref.make(true)
      const one = yield* world.start(({ createLease }) => ({
        createLease: (lease) =>
          Effect.flatMap(Ref.get(mayNot), (no) => no ? refused("no creation of leases") : createLease(lease))
      }))
      yield* one.connect("alice")
      yield* Time.pass("20 seconds")
      assert.deepStrictEqual((yield* theirHolders(world)).map(({ leased }) => leased), [false])
      yield* Ref.set(mayNot, false)
      yield* Time.pass("11 seconds")
      assert.deepStrictEqual((yield* theirHolders(world)).map(({ leased }) => leased), [true])
    }))

  it.effect("deletes the Leases of replicas that are long dead, but not while a pod names them", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      const stays = yield* world.start()
      const dies = yield* world.start()
      yield* Time.pass("20 seconds")
      yield* dies.crash
      yield* Time.pass("4 minutes")
      assert.lengthOf(yield* world.fake.world.leases, 2)
      yield* Time.pass("3 minutes")
      assert.deepStrictEqual(
        (yield* world.fake.world.leases).map(({ spec }) => spec?.holderIdentity),
        [stays.replica.id]
      )
    }))

  it.effect("goes on after calls that failed", () =>
    Effect.gen(function*() {
      const world = yield* worldOf()
      const down = yield* Ref.make(true)
      yield* putUp(world, "unheld", {})
      yield* world.start(({ listPods }) => ({
        listPods: (query) =>
          Effect.flatMap(Ref.get(down), (isDown) =>
            isDown
              ? Effect.fail(
                new ClusterError({ operation: "list", reason: new ServerFault({ status: 503, detail: "down" }) })
              )
              : listPods(query))
      }))
      yield* Time.pass("2 minutes")
      assert.lengthOf(yield* names(world), 1)
      yield* Ref.set(down, false)
      yield* Time.pass("13 seconds")
      assert.deepStrictEqual(yield* names(world), [])
    }))
})

/** What is created carries the time of a server whose clock is 17 hours ahead. */
const ahead = 17 * 3600 * 1000
const stamped = (lease: Cluster["Service"]["createLease"]): Cluster["Service"]["createLease"] => (manifest) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.map(lease(manifest), (created) => ({
      ...created,
      metadata: { ...created.metadata, creationTimestamp: new Date(now + ahead).toISOString() }
    })))

const createdAgo = (minutes: number) => (pod: Pod): Pod => ({
  ...pod,
  metadata: { ...pod.metadata, creationTimestamp: new Date(ahead - minutes * 60_000).toISOString() }
})

describe("a pod's greatest lifetime", () => {
  it.effect("ends it although it is held, not before, and its sessions are told", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m" })
      const one = yield* world.start()
      yield* Time.pass("6 seconds")
      const connection = yield* one.connect("alice")
      yield* Time.pass("5 seconds")
      const exit = yield* Ref.get(connection.opened)
      const ended = yield* Effect.forkChild(
        exit !== undefined && Exit.isSuccess(exit) ? Effect.exit(exit.value.ended) : Effect.never
      )
      yield* Time.pass("590 seconds")
      assert.lengthOf(world.deletions, 0)
      yield* Time.pass("40 seconds")
      assert.lengthOf(world.deletions, 1)
      yield* Time.pass("2 seconds")
      assert.isDefined(ended.pollUnsafe())
    }))

  it.effect("counts from its creation by the server's clock, whatever that says, for a replica that came later", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m", linger: "24h" })
      yield* putUp(world, "old", { annotations: { [releaseKey]: "r" } })
      yield* Time.settle
      yield* world.fake.world.changePod("old", createdAgo(8))
      yield* world.start(({ createLease }) => ({ createLease: stamped(createLease) }))
      yield* Time.pass("121 seconds")
      assert.deepStrictEqual(yield* names(world), ["old"])
      yield* Time.pass("3 seconds")
      assert.deepStrictEqual(yield* names(world), [])
    }))

  it.effect("counts from the same time for connections to it, and whoever comes after it gets another pod", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m", linger: "24h" })
      const one = yield* world.start(({ createLease, createPod }) => ({
        createLease: stamped(createLease),
        createPod: (manifest) =>
          Effect.gen(function*() {
            yield* createPod(manifest)
            const now = yield* Clock.currentTimeMillis
            const creationTimestamp = new Date(now + ahead).toISOString()
            yield* world.fake.world.changePod(
              manifest.metadata.name,
              (pod) => ({ ...pod, metadata: { ...pod.metadata, creationTimestamp } })
            )
            return yield* world.store.readPod(manifest.metadata)
          })
      }))
      yield* Time.pass("6 seconds")
      const made = yield* Clock.currentTimeMillis
      const first = yield* one.connect("alice")
      yield* Time.pass("2 seconds")
      const opened = yield* Ref.get(first.opened)
      assert.strictEqual(opened !== undefined && Exit.isSuccess(opened) ? opened.value.created : undefined, made + 1000)
      yield* first.close
      const before = yield* world.fake.world.livePods
      yield* Time.pass(made + 601_000 - (yield* Clock.currentTimeMillis) - 1)
      yield* one.connect("alice")
      assert.deepStrictEqual(yield* world.fake.world.livePods, before)
      yield* Time.pass("1 second")
      const late = yield* one.connect("alice")
      yield* Time.pass("10 seconds")
      assert.isTrue(Exit.isSuccess((yield* Ref.get(late.opened)) ?? Exit.die("it did not open")))
      const after = yield* world.fake.world.livePods
      assert.lengthOf(after, 1)
      assert.notDeepEqual(after, before)
    }))

  it.effect("counts from when it was seen first where nothing is known of the server's clock", () =>
    Effect.gen(function*() {
      const world = yield* worldOf({ maxLifetime: "10m", linger: "24h" })
      yield* putUp(world, "old", {})
      yield* Time.settle
      yield* world.fake.world.changePod("old", createdAgo(100_000))
      yield* world.start()
      yield* Time.pass("599 seconds")
      assert.deepStrictEqual(yield* names(world), ["old"])
      yield* Time.pass("7 seconds")
      assert.deepStrictEqual(yield* names(world), [])
    }))
})
