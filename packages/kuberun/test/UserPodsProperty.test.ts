import { assert, describe, it } from "@effect/vitest"
import { FakeCluster, Time } from "@kuberun/testkit"
import { Clock, Duration, Effect, Exit, Random, Ref, Schema } from "effect"
import { type Config, decodeConfig } from "kuberun"
import { make, type RunningReplica } from "./Replicas.ts"

const upTo = (max: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max }))
const few = <S extends Schema.Top>(item: S, most: number) => Schema.Array(item).check(Schema.isMaxLength(most))

/** Names that are alike where a name is made fit for a label or for DNS. One of them comes more often than others. */
const users = ["alice", "alice", "alice", "Alice", "al-ice", ""]

/** What happens, and the time that passes before it. */
const event = Schema.Struct({
  after: Schema.Literals([0, 1, 40, 300, 3_000, 4_900, 9_000, 25_000, 50_000]),
  what: Schema.Literals([
    "connect",
    "close",
    "connect",
    "close",
    "connect",
    "close",
    "crash",
    "stop",
    "start",
    "cut",
    "heal"
  ]),
  user: upTo(users.length - 1),
  at: upTo(20)
})

const faulty = {
  creates: few(Schema.Literals(["ok", "answerLost", "late", "requestLost", "fault", "forbidden", "hangs"]), 4),
  deletes: few(Schema.Literals(["ok", "answerLost", "requestLost", "fault", "forbidden"]), 4),
  patches: few(Schema.Literals(["ok", "ok", "answerLost", "requestLost", "fault", "forbidden"]), 8),
  watches: few(Schema.Literals(["ok", "breaks", "silent"]), 4),
  createMillis: Schema.Literals([0, 0, 50, 4_000]),
  startMillis: Schema.Literals([0, 100, 20_000]),
  latencyMillis: Schema.Literals([0, 0, 30, 400])
}

const lingers = Schema.Literals(["0s", "5s", "40s"])

const configOf = (pod: Readonly<Record<string, unknown>>): Effect.Effect<Config> =>
  Effect.orDie(decodeConfig({ pod: { mode: "user", ...pod } }))

/** Time is passed in parts of milliseconds, whose sum is not exact. */
const grain = 2

/** After a crash: until its Lease has lapsed, that was seen, and what was left has been deleted in spite of all faults. */
const sweepTime = "3 minutes"

describe("users' pods", () => {
  it.effect.prop(
    "whatever fails, crashes and is cut off: one pod for each user and no more, none deleted that is held or whose " +
      "linger is not over, and none that outlives its last connection by more",
    {
      ...faulty,
      linger: lingers,
      replicas: Schema.Literals([2, 3, 4]),
      events: Schema.Array(event).check(Schema.isMinLength(8), Schema.isMaxLength(24)),
      seed: upTo(1_000_000)
    },
    ({ events, latencyMillis, linger, replicas, seed, ...plan }) =>
      Effect.gen(function*() {
        const fake = yield* FakeCluster.make({ ...plan, start: "ready" })
        const config = yield* configOf({ linger })
        const world = yield* make(fake, config, latencyMillis)
        const running: Array<RunningReplica> = []
        for (let count = 0; count < replicas; count++) running.push(yield* world.start())

        for (const { after, at, user, what } of events) {
          yield* Time.pass(after)
          const place = at % running.length
          const replica = running[place]
          if (replica === undefined) continue
          switch (what) {
            case "connect":
              yield* replica.connect(users[user] ?? "")
              break
            case "close":
              yield* world.connections[at % Math.max(1, world.connections.length)]?.close ?? Effect.void
              break
            // The first one stays, so that there is somebody to sweep.
            case "crash":
              if (place > 0) yield* replica.crash
              if (place > 0) running.splice(place, 1)
              break
            case "stop":
              if (place > 0) yield* Effect.forkDetach(replica.stop)
              if (place > 0) running.splice(place, 1)
              break
            case "start":
              if (running.length < 4) running.push(yield* world.start())
              break
            case "cut":
              if ((yield* Ref.get(replica.gate)) === "open") yield* replica.cut
              break
            case "heal":
              if ((yield* Ref.get(replica.gate)) === "cut") yield* replica.heal
              break
          }
          assert.strictEqual(world.faults.join("; "), "")
        }
        for (const replica of running) if ((yield* Ref.get(replica.gate)) === "cut") yield* replica.heal
        yield* Effect.forEach(world.connections, ({ close }) => close, { discard: true })
        yield* Time.pass(config.pod.linger)
        yield* Time.pass(sweepTime)
        assert.strictEqual(world.faults.join("; "), "")
        assert.deepStrictEqual(yield* fake.world.livePods, [], "a pod was left")

        const stopping = yield* Effect.forkChild(Effect.forEach(running, ({ stop }) => stop, { discard: true }))
        yield* Time.pass("1 minute")
        assert.isDefined(stopping.pollUnsafe(), "the replicas have ended")
        assert.strictEqual(yield* fake.world.openStreams, 0, "a watch was left open")
      }).pipe(Random.withSeed(seed)),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "where nothing fails, every connection gets a pod and the last one's goes after its linger, neither sooner nor later",
    {
      linger: Schema.Literals(["1s", "40s", "10m"]),
      startMillis: upTo(20_000),
      visits: Schema.NonEmptyArray(Schema.Struct({ replica: upTo(2), stays: upTo(60_000), pause: upTo(90_000) })).check(
        Schema.isMaxLength(5)
      ),
      seed: upTo(1_000_000)
    },
    ({ linger, seed, startMillis, visits }) =>
      Effect.gen(function*() {
        const fake = yield* FakeCluster.make({ ...FakeCluster.calmPlan, startMillis })
        const config = yield* configOf({ linger })
        const world = yield* make(fake, config)
        const running = [yield* world.start(), yield* world.start(), yield* world.start()]
        const lingerMillis = Duration.toMillis(config.pod.linger)
        let made: string | undefined
        let left: number | undefined
        for (const { pause, replica, stays } of visits) {
          const begun = yield* Clock.currentTimeMillis
          const connection = yield* (running[replica] ?? running[0])?.connect("alice") ?? Effect.never
          yield* Time.pass(startMillis + 10)
          const exit = yield* Ref.get(connection.opened)
          assert.isTrue(exit !== undefined && Exit.isSuccess(exit), "the connection has its pod")
          const [uid] = yield* fake.world.livePods
          const within = left !== undefined && begun - left < lingerMillis
          assert.strictEqual(uid === made, within, "the pod is the one from before just when its linger was not over")
          made = uid
          yield* Time.pass(stays)
          left = yield* Clock.currentTimeMillis
          yield* connection.close
          yield* Time.settle
          if (pause >= lingerMillis) {
            yield* Time.pass(lingerMillis - grain)
            assert.lengthOf(yield* fake.world.livePods, 1, "the pod went before its time")
            yield* Time.pass(pause - lingerMillis + 2 * grain)
            assert.lengthOf(yield* fake.world.livePods, 0, "the pod stayed beyond its time")
          } else yield* Time.pass(pause)
        }
        assert.strictEqual(world.faults.join("; "), "")
        yield* Effect.forEach(running, ({ stop }) => stop, { discard: true })
      }).pipe(Random.withSeed(seed)),
    { arbitrary: { runs: 300 } }
  )
})
