/**
 * The exec protocol as bytes and texts: `channel.k8s.io`, versions 4 and 5 (KEP-4006; names and channels in
 * apimachinery's `util/remotecommand/constants.go`).
 */
import {
  type AttachRequest,
  type ExecExit,
  type ExecRequest,
  type PodRef,
  ProtocolViolation,
  type TerminalSize
} from "kuberun"
import { parseJson, statusBody } from "./ApiFault.ts"

/** Offered in this order; the server takes the first that it knows. v5 is v4 and the half-close of stdin. */
export const SUBPROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
export const V5 = "v5.channel.k8s.io"

/** The first byte of every message. */
export const Channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const

/** Encodes a text for a URL. Half a surrogate pair, which has no encoding, becomes the replacement character. */
export const encode = (text: string): string => encodeURIComponent(text.toWellFormed())

/** The streams that are asked for. */
const streams = (terminal: TerminalSize | undefined): ReadonlyArray<string> => [
  "stdin=true",
  "stdout=true",
  terminal === undefined ? "stderr=true" : "tty=true"
]

const streamUrl = (
  server: string,
  pod: PodRef,
  subresource: "exec" | "attach",
  parameters: ReadonlyArray<string>
): string => {
  const path = `/api/v1/namespaces/${encode(pod.namespace)}/pods/${encode(pod.name)}/${subresource}`
  return `${server.replace(/^http/u, "ws")}${path}?${parameters.join("&")}`
}

/**
 * The URL that starts the program. stdin is always asked for: without it some runtimes end the stream after the first
 * output. stderr is not, with a terminal: there it is the same device (and the API server refuses both).
 */
export const execUrl = (server: string, { command, container, pod, terminal }: ExecRequest): string =>
  streamUrl(server, pod, "exec", [
    ...command.map((argument) => `command=${encode(argument)}`),
    `container=${encode(container)}`,
    ...streams(terminal)
  ])

/** The URL that connects with a container's first process. */
export const attachUrl = (server: string, { container, pod, terminal }: AttachRequest): string =>
  streamUrl(server, pod, "attach", [`container=${encode(container)}`, ...streams(terminal)])

/** Closes stdin; v5 only. */
export const closeStdin = (): Uint8Array => Uint8Array.of(Channel.close, Channel.stdin)

/** A message to the program's stdin. */
export const stdinMessage = (bytes: Uint8Array): Uint8Array => {
  const message = Buffer.allocUnsafe(bytes.length + 1)
  message[0] = Channel.stdin
  message.set(bytes, 1)
  return message
}

const cells = (count: number): number => Math.min(65_535, Math.max(0, Math.trunc(count) || 0))

/**
 * A message that tells the terminal's size (`TerminalSize` of client-go's `remotecommand`), or nothing where neither
 * dimension is known.
 */
export const resizeMessage = (size: TerminalSize): Uint8Array | undefined => {
  const Width = cells(size.columns)
  const Height = cells(size.rows)
  if (Width === 0 && Height === 0) return undefined
  const json = Buffer.from(JSON.stringify({ Width, Height }))
  return Buffer.concat([Uint8Array.of(Channel.resize), json])
}

/** What the text on the status channel amounts to. `Incomplete` is no JSON yet: more may come. */
export type Told =
  | { readonly _tag: "Ended"; readonly exit: ExecExit }
  | { readonly _tag: "Incomplete" }
  | { readonly _tag: "Unreadable" }

const DOUBLED_PREFIX = /^(?:Internal error occurred: )+(?=Internal error occurred: )/u

/** Each hop that passes a failure on puts the same words before it. One is enough. */
const readableMessage = (message: string): string => message.replace(DOUBLED_PREFIX, "").trim()

/**
 * Reads the `metav1.Status` that proves the program's end: `Success` is exit code 0, `NonZeroExitCode` holds the code
 * as text in a cause `ExitCode`, everything else says why there was no program (`codeExitToStatusError` and
 * `ServeExec` in kubelet's `cri/streaming/remotecommand`).
 */
export const readStatus = (text: string): Told => {
  const value = parseJson(text)
  if (value === undefined) return { _tag: "Incomplete" }
  const status = statusBody(value)
  if (status?.status === "Success") return { _tag: "Ended", exit: { _tag: "Exited", code: 0 } }
  if (status?.status !== "Failure") return { _tag: "Unreadable" }
  if (status.reason === "NonZeroExitCode") {
    const code = status.causes.find((cause) => cause.reason === "ExitCode")?.message
    return code !== undefined && /^-?\d{1,10}$/u.test(code)
      ? { _tag: "Ended", exit: { _tag: "Exited", code: Number(code) } }
      : { _tag: "Unreadable" }
  }
  const detail = readableMessage(status.message ?? status.causes[0]?.message ?? "the cluster gave no reason")
  return { _tag: "Ended", exit: { _tag: "NotStarted", detail } }
}

/** How much of a status that cannot be read is shown. */
const EXCERPT_LENGTH = 200

/** The reason for a status that is none. */
export const unreadable = (text: string): ProtocolViolation =>
  new ProtocolViolation({ detail: `the program's status cannot be read: ${text.slice(0, EXCERPT_LENGTH)}` })
