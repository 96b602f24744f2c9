/**
 * SPDY/3.1 frames (draft-mbelshe-httpbis-spdy-00 §2), as far as Kubernetes' streams need them, a server's side.
 *
 * Windows are not kept: client-go's implementation ignores them too.
 */
import { Data, Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type DuplexOptions } from "node:stream"
import { createInflate, type ZlibOptions } from "node:zlib"
import { type ByteSource } from "../runtime/Bytes.ts"

/** What a peer sent is no SPDY. */
export class SpdyError extends Data.TaggedError("SpdyError")<{ readonly message: string }> {}

export type Frame =
  | { readonly _tag: "SynStream"; readonly id: number; readonly headers: Headers; readonly fin: boolean }
  /** A piece of a data frame: it is handed on as it comes, however long the frame is. */
  | { readonly _tag: "Data"; readonly id: number; readonly bytes: Uint8Array; readonly fin: boolean }
  | { readonly _tag: "Reset"; readonly id: number }
  | { readonly _tag: "Ping"; readonly id: number }

/** By their names in lower case. */
export type Headers = ReadonlyMap<string, string>

/** A control frame of Kubernetes' clients has some hundred bytes. */
const controlLimit = 16 * 1024
/** As much as its headers may become when they are inflated. */
const headersLimit = 64 * 1024

const type = { synStream: 1, synReply: 2, reset: 3, ping: 6, goAway: 7, headers: 8 }
/** In the second word, above a frame's length. */
const finFlag = 0x1000000
/** The status codes of RST_STREAM and GOAWAY that are used here. */
export const refusedStream = 3
const protocolError = 1

const words =
  "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status"
const afterWords =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."

const lengthPrefixed = (text: string): Buffer => {
  const bytes = Buffer.alloc(4 + text.length)
  bytes.writeUInt32BE(text.length)
  bytes.write(text, 4)
  return bytes
}

/** What both ends' compressors know from the start (§2.6.10.1). */
export const dictionary = Buffer.concat([
  ...[...words.split(" "), "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"].map(
    lengthPrefixed
  ),
  Buffer.from(afterWords)
])

const uint32s = (...values: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index))
  return bytes
}
const control = (kind: number, body: Buffer): Buffer => Buffer.concat([uint32s(0x80030000 + kind, body.length), body])

export const dataFrame = (id: number, bytes: Uint8Array, fin: boolean): Buffer =>
  Buffer.concat([uint32s(id, (fin ? finFlag : 0) + bytes.length), bytes])
export const resetFrame = (id: number, status: number): Buffer => control(type.reset, uint32s(id, status))
export const pingFrame = (id: number): Buffer => control(type.ping, uint32s(id))
export const goAwayFrame = (lastId: number): Buffer => control(type.goAway, uint32s(lastId, protocolError))

/** A zlib stream's head that names the dictionary by its Adler-32 (RFC 1950 §2.2). */
const zlibHead = Buffer.from("78bbe3c6a7c2", "hex")
/**
 * No headers: their count, 0, as a stored block of four bytes (RFC 1951 §3.2.4), so that nothing has to be compressed
 * here; then an empty one, which is a flush: without it Go's inflater wants to see the next block first.
 */
const noHeaders = Buffer.from("000400fbff00000000000000ffff", "hex")

/** `first` is for the first reply of a connection, whose replies' headers are one zlib stream. */
export const synReplyFrame = (id: number, first: boolean): Buffer =>
  control(type.synReply, Buffer.concat([uint32s(id), first ? zlibHead : Buffer.alloc(0), noHeaders]))

const inflateOptions: ZlibOptions & DuplexOptions = { dictionary, readableHighWaterMark: headersLimit }

/** One for a connection's whole life: each block of headers continues the stream of those before. */
const makeInflater = Effect.gen(function*() {
  const inflater = createInflate(inflateOptions)
  yield* Effect.addFinalizer(() => Effect.sync(() => inflater.destroy()))
  inflater.on("error", () => {})
  return (block: Uint8Array): Effect.Effect<Buffer, SpdyError> =>
    Effect.callback((resume) => {
      const fail = () => resume(new SpdyError({ message: "headers that cannot be inflated" }))
      const look = () => {
        if (inflater.readableLength >= headersLimit) fail()
      }
      // It would wait for ever for somebody to take what it has, were there more than the limit.
      inflater.on("readable", look)
      inflater.once("close", fail)
      inflater.write(block, (error) => {
        inflater.off("readable", look)
        inflater.off("close", fail)
        if (error !== null && error !== undefined) return fail()
        const found: Buffer | null = inflater.read()
        resume(Effect.succeed(found ?? Buffer.alloc(0)))
      })
    })
})

/** `undefined` for what is no block of headers. */
const parseHeaders = (block: Buffer): Headers | undefined => {
  const headers = new Map<string, string>()
  let at = 0
  const text = (): string => {
    const end = at + 4 + block.readUInt32BE(at)
    if (end > block.length) throw new RangeError()
    const found = block.toString("utf8", at + 4, end)
    at = end
    return found
  }
  try {
    const count = block.readUInt32BE(at)
    at = 4
    for (let index = 0; index < count; index++) {
      const name = text()
      headers.set(name.toLowerCase(), text())
    }
  } catch {
    // A length that leads out of the block.
    return undefined
  }
  return at === block.length ? headers : undefined
}

/** Reads frames from `source`; `next` answers `undefined` at its end. */
export const makeFrames = Effect.fnUntraced(function*(
  source: ByteSource
): Effect.fn.Return<{ readonly next: Effect.Effect<Frame | undefined, SpdyError> }, never, Scope.Scope> {
  const inflate = yield* makeInflater
  let held = Buffer.alloc(0)
  let data: { readonly id: number; readonly left: number; readonly fin: boolean } | undefined
  const more = Effect.map(source.read, (bytes) => {
    if (bytes === undefined) return false
    held = Buffer.concat([held, bytes])
    return true
  })
  const take = (length: number): Buffer => {
    const taken = held.subarray(0, length)
    held = held.subarray(taken.length)
    return taken
  }
  const exactly = Effect.fnUntraced(function*(length: number) {
    while (held.length < length) if (!(yield* more)) return undefined
    return take(length)
  })
  const headersOf = Effect.fnUntraced(function*(block: Buffer) {
    const headers = parseHeaders(yield* inflate(block))
    return headers ?? (yield* new SpdyError({ message: "a malformed block of headers" }))
  })
  /** `undefined` for what is of no interest here. */
  const controlFrame = Effect.fnUntraced(
    function*(kind: number, fin: boolean, body: Buffer): Effect.fn.Return<Frame | undefined, SpdyError> {
      if (body.length < 4) return yield* new SpdyError({ message: "a frame that is too short" })
      const id = body.readUInt32BE() & 0x7fffffff
      if (kind === type.reset) return { _tag: "Reset", id }
      if (kind === type.ping) return { _tag: "Ping", id }
      if (kind === type.synStream) return { _tag: "SynStream", id, headers: yield* headersOf(body.subarray(10)), fin }
      // These belong to the one stream in which headers are compressed.
      if (kind === type.synReply || kind === type.headers) yield* headersOf(body.subarray(4))
      return undefined
    }
  )
  const next = Effect.gen(function*(): Effect.fn.Return<Frame | undefined, SpdyError> {
    for (;;) {
      if (data !== undefined) {
        const { fin, id, left } = data
        if (left > 0 && held.length === 0 && !(yield* more)) return undefined
        const bytes = take(left)
        data = bytes.length === left ? undefined : { fin, id, left: left - bytes.length }
        return { _tag: "Data", id, bytes, fin: fin && data === undefined }
      }
      const head = yield* exactly(8)
      if (head === undefined) return undefined
      const [first, second] = [head.readUInt32BE(0), head.readUInt32BE(4)]
      const [fin, length] = [(second & finFlag) !== 0, second & 0xffffff]
      if (first < 0x80000000) {
        data = { id: first, left: length, fin }
        continue
      }
      if (((first >>> 16) & 0x7fff) !== 3) return yield* new SpdyError({ message: "another version of SPDY" })
      if (length > controlLimit) return yield* new SpdyError({ message: "a control frame that is too long" })
      const body = yield* exactly(length)
      if (body === undefined) return undefined
      const frame = yield* controlFrame(first & 0xffff, fin, body)
      if (frame !== undefined) return frame
    }
  })
  return { next }
})
