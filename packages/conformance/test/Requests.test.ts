import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type ssh2 from "ssh2"
import { type Service, start } from "./support/Service.ts"
import { connect } from "./support/SshClient.ts"

class Running extends Context.Service<Running, Service>()("test/Running") {
  static readonly layer = Layer.effect(Running, start({ pod: { subsystems: { environment: "printenv" } } }))
}

const exec = (client: ssh2.Client, command: string, options: ssh2.ExecOptions = {}) =>
  Effect.callback<ssh2.ClientChannel, Error>((resume) => {
    client.exec(command, options, (error, channel) => resume(error ? Effect.fail(error) : Effect.succeed(channel)))
  })

/** Reads the channel to its close. */
const ended = (channel: ssh2.ClientChannel) =>
  Effect.callback<{ readonly code: number | null | undefined; readonly out: string }>((resume) => {
    let out = ""
    let code: number | null | undefined
    channel.on("data", (data: Buffer) => {
      out += data.toString("utf8")
    })
    channel.stderr.resume()
    channel.on("exit", (status: number | null) => {
      code = status
    })
    channel.on("close", () => resume(Effect.succeed({ code, out })))
  })

/** ssh2 keeps to itself how a request is sent on a channel that has its program already. */
interface Internals {
  readonly outgoing: { readonly id: number }
  readonly _callbacks: Array<(failed: boolean) => void>
  readonly _client: {
    readonly _protocol: { readonly exec: (channel: number, command: string, wantReply: boolean) => void }
  }
}

/** Asks for one more program on the channel; answers whether it was accepted. */
const execAgain = (channel: ssh2.ClientChannel, command: string) =>
  Effect.callback<boolean>((resume) => {
    const inside = channel as unknown as Internals
    inside._callbacks.push((failed) => resume(Effect.succeed(!failed)))
    inside._client._protocol.exec(inside.outgoing.id, command, true)
  })

describe("requests on a session channel", () => {
  it.layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("end with every status from 0 to 255 as the program gave it", () =>
      Effect.scoped(Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const codes = Array.from({ length: 256 }, (_, code) => code)
        const seen = yield* Effect.forEach(
          codes,
          (code) => Effect.flatMap(exec(client, `exit ${code}`), ended),
          { concurrency: 4 }
        )
        assert.deepStrictEqual(seen.map(({ code }) => code), codes)
      })))

    it.effect("refuse a second program, and leave the first one alone", () =>
      Effect.scoped(Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const channel = yield* exec(client, "read -r line; echo \"first $line\"; exit 9")
        assert.isFalse(yield* execAgain(channel, "echo second"))
        channel.end("goes on\n")
        assert.deepStrictEqual(yield* ended(channel), { code: 9, out: "first goes on\n" })
      })))

    it.effect("are answered with failure where nothing knows them, and the connection goes on", () =>
      Effect.scoped(Effect.gen(function*() {
        const client = yield* connect(yield* Running)
        const refused = yield* Effect.flip(exec(client, "echo never", { x11: true }))
        assert.match(refused.message, /X11/)
        const { code, out } = yield* Effect.flatMap(exec(client, "echo still here"), ended)
        assert.deepStrictEqual({ code, out }, { code: 0, out: "still here\n" })
      })))

    it.effect("set the environment of a subsystem, a program and a shell", () =>
      Effect.gen(function*() {
        const { run } = yield* Running
        const { out } = yield* run(`
          set='-o SetEnv=PROBE=set-by-the-client'
          ssh $set $SSH_OPTIONS -s demo@127.0.0.1 environment < /dev/null | grep ^PROBE=
          ssh $set $SSH_OPTIONS demo@127.0.0.1 'echo "PROBE=$PROBE"'
          echo 'echo "PROBE=$PROBE"' | ssh $set $SSH_OPTIONS -T demo@127.0.0.1
        `)
        assert.strictEqual(out, "PROBE=set-by-the-client\n".repeat(3))
      }))
  })

  it.live("resize a terminal whose program still waits for its pod", () =>
    Effect.scoped(Effect.gen(function*() {
      const other = process.env["KUBERUN_TEST_KUBECONFIG"] !== undefined
      const service = yield* start(other ? {} : { image: "kuberun.test/slow-1500ms" })
      const client = yield* connect(service)
      const channel = yield* exec(client, "stty size", { pty: { cols: 90, rows: 30 } })
      channel.setWindow(44, 111, 0, 0)
      const { out } = yield* ended(channel)
      assert.match(out, /44 111\r\n$/)
    })))
})
