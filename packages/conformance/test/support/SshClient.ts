/**
 * ssh2's client as tests drive it: for what ssh(1) never sends, and for what it does too slowly many times over.
 */
import { Deferred, Effect, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import ssh2 from "ssh2"
import type { Service } from "./Service.ts"

export const connect = Effect.fn(function*({ folder, process }: Service) {
  const [, port = ""] = yield* process.stdoutMatch(/^ready: ssh .*-p (\d+) /m)
  const client = new ssh2.Client()
  yield* Effect.addFinalizer(() => Effect.sync(() => client.destroy()))
  yield* Effect.callback<void>((resume) => {
    client.on("ready", () => resume(Effect.void)).on("error", (error) => resume(Effect.die(error)))
    client.connect({
      host: "127.0.0.1",
      port: Number(port),
      username: "demo",
      privateKey: readFileSync(join(folder, ".kuberun/client_key"))
    })
  })
  return client
})

/** How a program ended, as its channel was told. */
export interface End {
  readonly code: number | null | undefined
  readonly signal: string | undefined
  readonly out: string
  readonly err: string
}

/** A program on a channel of its own. */
export interface RemoteProgram {
  readonly channel: ssh2.ClientChannel
  /** Waits until its stdout matches; dies when it ends without. */
  readonly says: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
  /** Sends a request of this type with these fields, and waits for its answer. */
  readonly request: (type: string, ...fields: ReadonlyArray<string | number>) => Effect.Effect<boolean>
  /** The channel's end. */
  readonly ended: Effect.Effect<End>
  readonly close: Effect.Effect<void>
}

/** ssh2 keeps to itself how a request with an answer is sent. */
interface Internals {
  readonly outgoing: { readonly id: number }
  readonly _callbacks: Array<(failed: boolean) => void>
  readonly _client: {
    readonly _protocol: {
      readonly _packetRW: {
        readonly write: {
          readonly allocStart: number
          readonly alloc: (length: number) => Buffer
          readonly finalize: (packet: Buffer) => Buffer
        }
      }
      readonly _cipher: { readonly encrypt: (packet: Buffer) => void }
    }
  }
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const string = (text: string): Buffer => Buffer.concat([uint32(Buffer.byteLength(text)), Buffer.from(text)])

/** RFC 4254 §5.4: a channel request, with want-reply. */
const sendRequest = (inside: Internals, type: string, fields: ReadonlyArray<string | number>): void => {
  const { _cipher, _packetRW: { write } } = inside._client._protocol
  const payload = Buffer.concat([
    Buffer.from([98]),
    uint32(inside.outgoing.id),
    string(type),
    Buffer.from([1]),
    ...fields.map((field) => typeof field === "number" ? uint32(field) : string(field))
  ])
  const packet = write.alloc(payload.length)
  payload.copy(packet, write.allocStart)
  _cipher.encrypt(write.finalize(packet))
}

/** Starts a program, and reads what it writes. */
export const run = Effect.fn(function*(
  client: ssh2.Client,
  command: string,
  options: ssh2.ExecOptions = {}
): Effect.fn.Return<RemoteProgram, Error, Scope.Scope> {
  const channel = yield* Effect.callback<ssh2.ClientChannel, Error>((resume) => {
    client.exec(command, options, (error, channel) => resume(error ? Effect.fail(error) : Effect.succeed(channel)))
  })
  const over = yield* Deferred.make<End>()
  const looks = new Set<() => void>()
  let end: End = { code: undefined, signal: undefined, out: "", err: "" }
  let closed = false
  const change = (part: Partial<End>) => {
    end = { ...end, ...part }
    for (const look of looks) look()
  }
  channel.on("data", (data: Buffer) => change({ out: end.out + data.toString("utf8") }))
  channel.stderr.on("data", (data: Buffer) => change({ err: end.err + data.toString("utf8") }))
  channel.on("exit", (code: number | null, signal?: string) => change({ code, signal: signal?.replace(/^SIG/, "") }))
  channel.on("close", () => {
    closed = true
    change({})
    Deferred.doneUnsafe(over, Effect.succeed(end))
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => channel.close()))
  return {
    channel,
    says: (pattern) =>
      Effect.callback<RegExpExecArray>((resume) => {
        const look = () => {
          const found = pattern.exec(end.out)
          if (found !== null) resume(Effect.succeed(found))
          else if (closed) resume(Effect.die(new Error(`it ended without ${pattern}: ${JSON.stringify(end)}`)))
          else return
          looks.delete(look)
        }
        looks.add(look)
        look()
        return Effect.sync(() => looks.delete(look))
      }),
    request: (type, ...fields) =>
      Effect.callback<boolean>((resume) => {
        const inside = channel as unknown as Internals
        inside._callbacks.push((failed) => resume(Effect.succeed(!failed)))
        sendRequest(inside, type, fields)
      }),
    ended: Deferred.await(over),
    close: Effect.sync(() => channel.close())
  }
})
