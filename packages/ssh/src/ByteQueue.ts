/**
 * What a client sent and the program has not read yet.
 *
 * A hostile client may fill its window one byte a packet. Small pieces are therefore copied together into blocks, so
 * that the queue holds about as many bytes of memory as of data.
 */
export interface ByteQueue {
  readonly push: (bytes: Uint8Array) => void
  /** All blocks in order, or as many as hold about `maximum` bytes. */
  readonly take: (maximum: number) => ReadonlyArray<Uint8Array>
  readonly size: () => number
}

/** Pieces below this are copied into a block of this size. */
const blockBytes = 16 * 1024

export const make = (): ByteQueue => {
  let blocks: Array<Uint8Array> = []
  let size = 0
  /** The last block's memory, and how much of it is used. */
  let tail: Uint8Array | undefined
  let used = 0

  return {
    size: () => size,
    push: (bytes) => {
      if (bytes.length === 0) return
      size += bytes.length
      if (bytes.length >= blockBytes) {
        tail = undefined
        blocks.push(bytes)
        return
      }
      if (blocks.length === 0) {
        // A keystroke is usually read before the next one comes: it gets no block.
        tail = undefined
        blocks.push(Uint8Array.from(bytes))
        return
      }
      if (tail === undefined || used + bytes.length > tail.length) {
        tail = new Uint8Array(blockBytes)
        used = 0
        blocks.push(tail.subarray(0, 0))
      }
      tail.set(bytes, used)
      used += bytes.length
      blocks[blocks.length - 1] = tail.subarray(0, used)
    },
    take: (maximum) => {
      let count = 0
      let taken = 0
      while (count < blocks.length && taken < maximum) taken += blocks[count++]?.length ?? 0
      const result = blocks.slice(0, count)
      blocks = blocks.slice(count)
      size -= taken
      if (blocks.length === 0) tail = undefined
      return result
    }
  }
}
