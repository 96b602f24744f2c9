/**
 * Lines out of bytes: a watch is one JSON object a line. Lines end where they end, not where the network cuts them.
 */

/** A splitter at work. It holds at most one unfinished line. */
export interface LineSplitter {
  /** The lines that these bytes complete, without their line feeds and without empty ones. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<string>
  /** How many bytes of an unfinished line are held. */
  readonly pending: () => number
}

const LINE_FEED = 0x0a

/** A line feed is one byte in UTF-8 and in no other character, so that bytes are split first and decoded after. */
export const make = (): LineSplitter => {
  let parts: Array<Uint8Array> = []
  let pending = 0
  return {
    push: (bytes) => {
      const lines: Array<string> = []
      let from = 0
      for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, from)) {
        parts.push(bytes.subarray(from, at))
        const line = Buffer.concat(parts).toString("utf8").trim()
        if (line !== "") lines.push(line)
        parts = []
        pending = 0
        from = at + 1
      }
      if (from < bytes.length) {
        parts.push(bytes.subarray(from))
        pending += bytes.length - from
      }
      return lines
    },
    pending: () => pending
  }
}
