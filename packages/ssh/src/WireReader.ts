import { fromBytes } from "kuberun"

/**
 * Reads the data types of RFC 4251 §5 from a message. Reading past the end gives zeros and empty strings and turns
 * `ok` to false, so that a decoder reads all its fields and asks once.
 */
export class WireReader {
  ok = true
  position: number
  readonly bytes: Buffer

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }

  /** Bytes that are left. */
  get available(): number {
    return this.bytes.length - this.position
  }

  uint8(): number {
    if (!this.#has(1)) return 0
    return this.bytes[this.position++] ?? 0
  }

  boolean(): boolean {
    return this.uint8() !== 0
  }

  uint32(): number {
    if (!this.#has(4)) return 0
    const value = this.bytes.readUInt32BE(this.position)
    this.position += 4
    return value
  }

  /** A `string` as bytes: a view of the message, not a copy. */
  string(): Buffer {
    const length = this.uint32()
    if (!this.#has(length)) return Buffer.alloc(0)
    const value = this.bytes.subarray(this.position, this.position + length)
    this.position += length
    return value
  }

  text(): string {
    return this.string().toString("utf8")
  }

  /** A `string` that need not be UTF-8, as `kuberun`'s `fromBytes` has it. */
  byteText(): string {
    return fromBytes(this.string())
  }

  rest(): Buffer {
    const value = this.bytes.subarray(this.position)
    this.position = this.bytes.length
    return value
  }

  #has(length: number): boolean {
    if (this.ok && this.available >= length) return true
    this.ok = false
    return false
  }
}

/** An RFC 4251 §5 `uint32`. */
export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

/** An RFC 4251 §5 `string`. */
export const string = (value: string | Uint8Array): Buffer => {
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value
  return Buffer.concat([uint32(bytes.length), bytes])
}
