/** ssh2's own client, as a well-behaved one. */
import { Deferred, Effect, type Scope } from "effect"
import ssh2 from "ssh2"

export const connect = (
  port: number,
  config: ssh2.ConnectConfig = {}
): Effect.Effect<ssh2.Client, Error, Scope.Scope> =>
  Effect.gen(function*() {
    const client = new ssh2.Client()
    yield* Effect.addFinalizer(() => Effect.sync(() => client.destroy()))
    yield* Effect.callback<void, Error>((resume) => {
      client.on("ready", () => resume(Effect.void)).on("error", (error) => resume(Effect.fail(error)))
      client.on("close", () => resume(Effect.fail(new Error("closed"))))
      client.connect({ host: "127.0.0.1", port, username: "demo", password: "secret", ...config })
    })
    return client
  })

export interface Ran {
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly code: number | null | undefined
  readonly signal: string | undefined
}

export const open = (
  client: ssh2.Client,
  command: string,
  options: ssh2.ExecOptions = {}
): Effect.Effect<ssh2.ClientChannel, Error> =>
  Effect.callback<ssh2.ClientChannel, Error>((resume) => {
    client.exec(command, options, (error, channel) => resume(error ? Effect.fail(error) : Effect.succeed(channel)))
  })

/** Runs a command to its end. */
export const run = (
  client: ssh2.Client,
  command: string,
  options: ssh2.ExecOptions & { readonly input?: Uint8Array } = {}
): Effect.Effect<Ran, Error> =>
  Effect.gen(function*() {
    const channel = yield* open(client, command, options)
    return yield* collect(channel, options.input ?? new Uint8Array(0))
  })

export const collect = (channel: ssh2.ClientChannel, input: Uint8Array): Effect.Effect<Ran> =>
  Effect.gen(function*() {
    const stdout: Array<Buffer> = []
    const stderr: Array<Buffer> = []
    const done = yield* Deferred.make<Ran>()
    let code: number | null | undefined
    let signal: string | undefined
    channel.on("data", (data: Buffer) => stdout.push(data))
    channel.stderr.on("data", (data: Buffer) => stderr.push(data))
    channel.on("exit", (exitCode: number | null, exitSignal?: string) => {
      code = exitCode
      signal = exitSignal
    })
    channel.on("close", () => {
      const ran = { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), code, signal }
      Deferred.doneUnsafe(done, Effect.succeed(ran))
    })
    channel.end(Buffer.from(input))
    return yield* Deferred.await(done)
  })
