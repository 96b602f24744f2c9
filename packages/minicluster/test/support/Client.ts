/** A client of the API made of node:https and ws alone. */
import { type Minicluster } from "@kuberun/minicluster"
import { Effect, Schedule } from "effect"
import { Buffer } from "node:buffer"
import { type IncomingMessage } from "node:http"
import { request } from "node:https"
import { WebSocket } from "ws"

export interface Answer {
  readonly code: number
  readonly body: Json
  readonly text: string
  readonly contentType: string
  /** The `Warning` header, "" without one. */
  readonly warning: string
}

/** JSON of unknown shape, read by `at`. */
export type Json = unknown

/** The value at a path of keys and indices, or undefined. */
export const at = (value: Json, ...path: ReadonlyArray<string | number>): Json =>
  path.reduce<Json>(
    (found, key) =>
      typeof found === "object" && found !== null ? (found as Record<string | number, Json>)[key] : undefined,
    value
  )

export const textAt = (value: Json, ...path: ReadonlyArray<string | number>): string => {
  const found = at(value, ...path)
  return typeof found === "string" || typeof found === "number" ? String(found) : ""
}

export const listAt = (value: Json, ...path: ReadonlyArray<string | number>): ReadonlyArray<Json> => {
  const found = at(value, ...path)
  return Array.isArray(found) ? found : []
}

export interface CallOptions {
  readonly body?: Json
  readonly raw?: string
  readonly contentType?: string
  readonly accept?: string
  readonly token?: string | undefined
}

const authority = (cluster: Minicluster) =>
  Buffer.from(/certificate-authority-data: (\S+)/.exec(cluster.kubeconfig)?.[1] ?? "", "base64").toString()
const tokenOf = (cluster: Minicluster) => /token: (\S+)/.exec(cluster.kubeconfig)?.[1] ?? ""

const open = (
  cluster: Minicluster,
  method: string,
  path: string,
  options: CallOptions
): Effect.Effect<IncomingMessage> =>
  Effect.callback((resume) => {
    const sent = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
    const token = "token" in options ? options.token : tokenOf(cluster)
    const call = request(`${cluster.url}${path}`, {
      method,
      ca: authority(cluster),
      agent: false,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        accept: options.accept ?? "application/json",
        ...(sent === undefined
          ? {}
          : { "content-type": options.contentType ?? "application/json", "content-length": Buffer.byteLength(sent) })
      }
    })
    call.once("error", (error) => resume(Effect.die(error)))
    call.once("response", (response) => resume(Effect.succeed(response)))
    call.end(sent)
    return Effect.sync(() => call.destroy())
  })

export const call = (
  cluster: Minicluster,
  method: string,
  path: string,
  options: CallOptions = {}
): Effect.Effect<Answer> =>
  Effect.gen(function*() {
    const response = yield* open(cluster, method, path, options)
    const text = yield* Effect.promise(async () => {
      const chunks: Array<Buffer> = []
      for await (const chunk of response) chunks.push(Buffer.from(chunk))
      return Buffer.concat(chunks).toString()
    })
    const contentType = response.headers["content-type"] ?? ""
    const body: Json = contentType.startsWith("application/json") && !text.includes("}\n{")
      ? JSON.parse(text)
      : undefined
    const { warning = "" } = response.headers
    return { code: response.statusCode ?? 0, text, contentType, warning, body }
  })

/** A stream of lines: what has come so far, and an effect that waits until a predicate holds of it. */
export const follow = Effect.fnUntraced(function*(cluster: Minicluster, path: string, options: CallOptions = {}) {
  const response = yield* open(cluster, "GET", path, options)
  let text = ""
  let ended = false
  response.setEncoding("utf8")
  response.on("data", (piece: string) => {
    text += piece
  })
  response.on("error", () => {})
  response.on("close", () => {
    ended = true
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => response.destroy()))
  const events = () => text.split("\n").filter((line) => line !== "").map((line): Json => JSON.parse(line))
  return {
    code: response.statusCode ?? 0,
    text: () => text,
    ended: () => ended,
    events,
    until: (holds: (events: ReadonlyArray<Json>) => boolean) => eventually(() => holds(events()), () => text)
  }
})

/** Waits for a condition; dies with what `said` tells when it does not come in half a minute. */
export const eventually = (holds: () => boolean, said: () => string = () => ""): Effect.Effect<void> =>
  Effect.sync(holds).pipe(
    Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: (held) => held }),
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.die(new Error(`it never came: ${said()}`)) }),
    Effect.asVoid
  )

/** Waits until a GET answers something of which `holds` is true, and gives it. */
export const until = (cluster: Minicluster, path: string, holds: (answer: Answer) => boolean): Effect.Effect<Answer> =>
  call(cluster, "GET", path).pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: holds }),
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.die(new Error(`${path} never became it`)) })
  )

export const pods = "/api/v1/namespaces/default/pods"

export const podBody = (
  name: string,
  script = "trap 'exit 0' TERM; while :; do sleep 60 & wait; done",
  spec: object = {},
  image = "busybox"
): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: {
    // A program that is asked to end before it has its trap does not hear it: nobody waits half a minute for that.
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "main", image, command: ["sh", "-c", script] }],
    ...spec
  }
})

export const isRunning = (answer: Answer): boolean =>
  listAt(answer.body, "status", "containerStatuses").length > 0 &&
  listAt(answer.body, "status", "containerStatuses").every((status) => at(status, "state", "running") !== undefined)

/** A pod that runs, and is deleted with the scope. */
export const runningPod = Effect.fnUntraced(function*(cluster: Minicluster, body: object) {
  const created = yield* call(cluster, "POST", pods, { body })
  const name = textAt(created.body, "metadata", "name")
  yield* Effect.addFinalizer(() => call(cluster, "DELETE", `${pods}/${name}?gracePeriodSeconds=0`))
  return yield* until(cluster, `${pods}/${name}`, isRunning)
})

export interface Exec {
  readonly socket: WebSocket
  readonly protocol: string
  readonly frames: ReadonlyArray<{ readonly id: number; readonly bytes: Buffer }>
  readonly output: (id: number) => string
  readonly send: (id: number, bytes: string | Buffer) => void
  /** The close code and the parsed status. */
  readonly end: Effect.Effect<{ readonly code: number; readonly status: Json }>
}

const execUrl = (pod: string, command: ReadonlyArray<string>, flags: string) =>
  `${pods}/${pod}/exec?${command.map((part) => `command=${encodeURIComponent(part)}`).join("&")}&${flags}`

const newSocket = (cluster: Minicluster, path: string, protocols: ReadonlyArray<string>) =>
  new WebSocket(`${cluster.url.replace("https", "wss")}${path}`, [...protocols], {
    ca: authority(cluster),
    headers: { authorization: `Bearer ${tokenOf(cluster)}` },
    perMessageDeflate: false
  })

/** Opens an exec; `path` is made by `execPath`. */
export const exec = Effect.fnUntraced(function*(
  cluster: Minicluster,
  pod: string,
  command: ReadonlyArray<string>,
  flags = "stdin=true&stdout=true&stderr=true",
  protocols: ReadonlyArray<string> = ["v5.channel.k8s.io"]
) {
  const socket = newSocket(cluster, execUrl(pod, command, flags), protocols)
  yield* Effect.addFinalizer(() => Effect.sync(() => socket.terminate()))
  const frames: Array<{ id: number; bytes: Buffer }> = []
  let closeCode: number | undefined
  socket.on("message", (data) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.alloc(0)
    frames.push({ id: bytes[0] ?? -1, bytes: bytes.subarray(1) })
  })
  socket.on("close", (code) => {
    closeCode = code
  })
  yield* Effect.callback<void>((resume) => {
    socket.once("open", () => resume(Effect.void))
    socket.once("error", (error) => resume(Effect.die(error)))
  })
  const bytesOn = (id: number) => Buffer.concat(frames.filter((frame) => frame.id === id).map(({ bytes }) => bytes))
  const result: Exec = {
    socket,
    protocol: socket.protocol,
    frames,
    output: (id) => bytesOn(id).toString(),
    send: (id, bytes) => socket.send(Buffer.concat([Buffer.of(id), Buffer.from(bytes)])),
    end: Effect.map(eventually(() => closeCode !== undefined), () => ({
      code: closeCode ?? 0,
      status: bytesOn(3).length === 0 ? undefined : JSON.parse(bytesOn(3).toString()) as Json
    }))
  }
  return result
})

/** The answer to an exec that is refused before its upgrade. */
export const refusedExec = (
  cluster: Minicluster,
  path: string,
  protocols: ReadonlyArray<string> = ["v5.channel.k8s.io"]
): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const socket = newSocket(cluster, path, protocols)
    socket.once("open", () => resume(Effect.die(new Error("it was accepted"))))
    socket.once("error", () => {})
    socket.once("unexpected-response", (_request, response) => {
      let text = ""
      response.on("data", (piece) => {
        text += String(piece)
      })
      response.on("end", () =>
        resume(
          Effect.succeed({
            code: response.statusCode ?? 0,
            text,
            contentType: "",
            warning: "",
            body: JSON.parse(text) as Json
          })
        ))
    })
  })
export const execPath = execUrl

/** What an exec without stdin prints on stdout. */
export const outputOf = (cluster: Minicluster, pod: string, script: string): Effect.Effect<string> =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* exec(cluster, pod, ["sh", "-c", script], "stdout=true&stderr=true")
    yield* session.end
    return session.output(1)
  }))
