/**
 * What tests with properties draw from: who connects, what clients do, what pods look like, what a cluster does. All are
 * Schemas, so that they can be put together, and narrowed with `check`.
 *
 * ```ts
 * it.effect.prop("…", { connection, steps: clientSteps }, ({ connection, steps }) => …, { arbitrary: { runs: 300 } })
 * ```
 */
import { Effect, Schema } from "effect"
import type { FakeClusterPlan } from "./FakeCluster.ts"
import type { ClientRequest, FakeClient } from "./FakeSsh.ts"

const upTo = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most }))
const few = <S extends Schema.Top>(item: S, most: number) => Schema.Array(item).check(Schema.isMaxLength(most))

/** Names that broke somebody's labels, paths, templates or scripts. */
export const oddTexts: ReadonlyArray<string> = [
  "",
  " ",
  ".",
  "..",
  "../../etc/passwd",
  "/",
  "-rf",
  "a@b.example",
  "domain\\user",
  "ALICE",
  "ümlaut",
  "ユーザー",
  "👩‍🚀",
  "e\u0301",
  "a\nb",
  "a\tb",
  "\u001b[31mred",
  "\u202Egnp.exe",
  "\u0000",
  "$(id)",
  "`id`",
  "'; id; '",
  "a b",
  "*",
  "~root",
  "{{username}}",
  "{{metadata.team}}",
  "$(HOME)",
  "__proto__",
  "constructor",
  "null",
  "::1",
  "x".repeat(63),
  "x".repeat(64),
  `${"x".repeat(300)}é`
]

/** A user's name: an ordinary one, one of `oddTexts`, or anything. */
export const username = Schema.Union([
  Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9-]{0,12}$/u)),
  Schema.Literals(oddTexts),
  Schema.String
])

/** 32 hexadecimal digits. */
export const connectionId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/u))

const address = Schema.Literals(["127.0.0.1", "192.0.2.7", "::1", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.7"])
const port = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))

const person = {
  username,
  remoteAddress: address,
  remotePort: port,
  localAddress: address,
  localPort: port,
  metadata: Schema.Record(Schema.Literals(["team", "shell", "a b"]), username)
}

/** Who is connected, as pods are named and labelled by: `Identity`. */
export const identity = Schema.Struct({ connectionId, ...person })

/** The same as a connection tells it, for `FakeSsh.makeConnection`. */
export const connection = Schema.Struct({ id: connectionId, ...person })

const size = Schema.Struct({ columns: upTo(500), rows: upTo(200) })
const text = Schema.Union([Schema.Literals(oddTexts), Schema.String])

/** A request on a session channel, as a client states it. Terminals have no modes. */
export const clientRequest = Schema.Union([
  Schema.Struct({
    _tag: Schema.Literal("Environment"),
    name: Schema.Union([Schema.Literals(["LANG", "LC_ALL", "PATH", "BASH_ENV", "LD_PRELOAD"]), text]),
    value: text
  }),
  Schema.Struct({
    _tag: Schema.Literal("Terminal"),
    term: Schema.Literals(["xterm", "dumb", ""]),
    size,
    modes: Schema.ReadonlyMap(upTo(127), upTo(255)).check(Schema.isMaxSize(3))
  }),
  Schema.Struct({ _tag: Schema.Literal("Shell") }),
  Schema.Struct({ _tag: Schema.Literal("Exec"), command: text }),
  Schema.Struct({ _tag: Schema.Literal("Subsystem"), name: Schema.Union([Schema.Literal("sftp"), text]) }),
  Schema.Struct({ _tag: Schema.Literal("WindowChange"), size }),
  Schema.Struct({ _tag: Schema.Literal("Signal"), name: Schema.Literals(["TERM", "INT", "HUP", "KILL", "WINCH", ""]) }),
  Schema.Struct({ _tag: Schema.Literal("Break"), milliseconds: upTo(3000) }),
  Schema.Struct({ _tag: Schema.Literal("Unknown"), type: Schema.Literals(["x11-req", "auth-agent-req@openssh.com"]) })
])

/** Something that a client does on a channel, or the time that it does nothing. */
export const clientStep = Schema.Union([
  Schema.Struct({ _tag: Schema.Literal("Request"), request: clientRequest }),
  Schema.Struct({ _tag: Schema.Literal("Send"), bytes: Schema.Uint8Array }),
  Schema.Struct({ _tag: Schema.Literal("Wait"), millis: upTo(60_000) }),
  Schema.Struct({ _tag: Schema.Literal("Eof") }),
  Schema.Struct({ _tag: Schema.Literal("Close") })
])
export type ClientStep = typeof clientStep.Type

/** What a client does on a channel, from its opening on. */
export const clientSteps = few(clientStep, 12)

/**
 * Lets a client do so, step by step; it is not kept waiting by a server that does not read or answer. Answers the requests
 * that were accepted.
 */
export const drive = Effect.fn("Arbitraries.drive")(function*(client: FakeClient, steps: ReadonlyArray<ClientStep>) {
  const accepted: Array<ClientRequest> = []
  for (const step of steps) {
    switch (step._tag) {
      case "Request":
        if (yield* unhindered(client.request(step.request), false)) accepted.push(step.request)
        break
      case "Send":
        yield* unhindered(client.send(step.bytes), undefined)
        break
      case "Wait":
        yield* Effect.sleep(step.millis)
        break
      case "Eof":
        yield* client.eof
        break
      case "Close":
        yield* client.close
        break
    }
  }
  return accepted
})

/** A second is more than any server of a test needs under TestClock. */
const unhindered = <A>(effect: Effect.Effect<A>, otherwise: A): Effect.Effect<A> =>
  Effect.timeoutOrElse(effect, { duration: "1 second", orElse: () => Effect.succeed(otherwise) })

/** The status of a pod with one container, sensible or not: whatever reads it must have an answer. */
export const podStatus = Schema.Struct({
  phase: Schema.optionalKey(Schema.Literals(["Pending", "Running", "Succeeded", "Failed", "Unknown"])),
  reason: Schema.optionalKey(Schema.Literals(["Evicted", "NodeLost", "Shutdown"])),
  conditions: Schema.optionalKey(few(
    Schema.Struct({
      type: Schema.Literals(["PodScheduled", "Initialized", "ContainersReady", "Ready"]),
      status: Schema.Literals(["True", "False", "Unknown"]),
      reason: Schema.optionalKey(Schema.Literals(["Unschedulable", "ContainersNotReady"]))
    }),
    3
  )),
  containerStatuses: Schema.optionalKey(few(
    Schema.Struct({
      name: Schema.Literals(["shell", "sidecar"]),
      ready: Schema.optionalKey(Schema.Boolean),
      restartCount: Schema.optionalKey(upTo(5)),
      state: Schema.optionalKey(Schema.Union([
        Schema.Struct({
          waiting: Schema.Struct({
            reason: Schema.Literals([
              "ContainerCreating",
              "ErrImagePull",
              "ImagePullBackOff",
              "CrashLoopBackOff",
              "CreateContainerConfigError"
            ])
          })
        }),
        Schema.Struct({ running: Schema.Struct({}) }),
        Schema.Struct({ terminated: Schema.Struct({ exitCode: upTo(255) }) })
      ]))
    }),
    3
  ))
})

/** A cluster's conduct for `FakeCluster.make`. `hangs` only ends with its caller's patience, so it is not among these. */
export const clusterPlan: Schema.Schema<FakeClusterPlan> = Schema.Struct({
  creates: few(Schema.Literals(["ok", "answerLost", "late", "requestLost", "fault", "conflict", "forbidden"]), 4),
  deletes: few(Schema.Literals(["ok", "answerLost", "requestLost", "fault", "forbidden"]), 4),
  watches: few(Schema.Literals(["ok", "breaks", "silent"]), 4),
  patches: few(Schema.Literals(["ok", "answerLost", "requestLost", "fault", "forbidden"]), 4),
  start: Schema.Literals(["ready", "imagePull", "never"]),
  startMillis: upTo(40_000)
})
