/**
 * What an upgrade that did not come about means.
 */
import { type ClusterErrorReason, ProtocolViolation } from "kuberun"
import type { IncomingMessage } from "node:http"
import { faultOfAnswer, faultOfConnection, isRecord, messageOf } from "./ApiFault.ts"

/** How much of the body of a refusal is read; a Status is a few hundred bytes. */
const REFUSAL_LIMIT_BYTES = 64 * 1024

/**
 * Reads the Status with which the API server refuses an upgrade, and tells the reason once: at the body's end, or when
 * it breaks off, or when it has become too long.
 */
export const readRefusal = (response: IncomingMessage, tell: (reason: ClusterErrorReason) => void): void => {
  const parts: Array<Buffer> = []
  let length = 0
  let isTold = false
  const done = () => {
    if (isTold) return
    isTold = true
    response.destroy()
    const code = response.statusCode ?? 0
    if (code < 300) {
      return tell(new ProtocolViolation({ detail: `the server did not switch to a WebSocket (HTTP ${code})` }))
    }
    tell(faultOfAnswer({
      code,
      body: Buffer.concat(parts).toString("utf8"),
      retryAfter: response.headers["retry-after"]
    }))
  }
  response.on("data", (part: Buffer) => {
    parts.push(part)
    length += part.length
    if (length > REFUSAL_LIMIT_BYTES) done()
  })
  response.on("end", done)
  response.on("error", done)
  response.on("close", done)
}

/** Whether `ws` itself found the other side's bytes wrong: a bad frame, a message over the limit. */
export const isProtocolError = (error: unknown): boolean =>
  isRecord(error) && typeof error["code"] === "string" && error["code"].startsWith("WS_ERR_")

/** Node's and OpenSSL's errors have a code; what `ws` finds wrong with an upgrade (subprotocol, key) has none. */
export const faultOfHandshake = (error: unknown): ClusterErrorReason =>
  isRecord(error) && typeof error["code"] === "string" && !isProtocolError(error)
    ? faultOfConnection(error)
    : new ProtocolViolation({ detail: `the server's upgrade to a WebSocket is not valid: ${messageOf(error)}` })
