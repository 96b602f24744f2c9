import { assert, describe, it } from "@effect/vitest"
import { Time } from "@kuberun/testkit"
import { Effect, Logger, Ref } from "effect"
import { ClusterError, Forbidden, ServerFault } from "kuberun"
import { holdersOf, holderValue } from "../src/modes/Holders.ts"
import { labels, names, putUp, type World, worldOf } from "./SweeperWorld.ts"

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
