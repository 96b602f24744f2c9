/**
 * What a container's first process has printed, in lines with their times, kept in memory and bounded: of the present
 * run and of the one before.
 */
import { Clock, Effect, PubSub, Stream } from "effect"
import { Buffer } from "node:buffer"

/** The kubelet rotates at 10 MiB; a memory of many pods holds less. */
const limit = 1024 * 1024
/** What keeping a line costs beside its bytes: short ones are bounded too. */
const lineCost = 64
/** A line that gets no end is kept in pieces, as a container runtime does (16 KiB). */
const longestLine = 16 * 1024
/** A reader is given so much at a time. */
const pieceSize = 64 * 1024

export type OutputName = "stdout" | "stderr"

export interface LogOptions {
  /** Goes on until the run's end. */
  readonly follow?: boolean
  /** Of the run before. */
  readonly previous?: boolean
  /** The oldest, in milliseconds since 1970. */
  readonly since?: number
  readonly tailLines?: number
  readonly limitBytes?: number
  /** Each line behind its time. */
  readonly timestamps?: boolean
}

export interface ContainerLog {
  /** A new run begins: what there is becomes the previous run's. */
  readonly begin: Effect.Effect<void>
  readonly append: (bytes: Uint8Array, output?: OutputName) => Effect.Effect<void>
  /** The run has ended, or no run will come at all: who follows waits no longer. */
  readonly end: Effect.Effect<void>
  readonly hasPrevious: () => boolean
  readonly read: (options?: LogOptions) => Stream.Stream<Uint8Array>
}

interface Line {
  readonly time: number
  readonly bytes: Uint8Array
}

class Run {
  /** The oldest may be gone: `dropped` of them. */
  lines: Array<Line> = []
  dropped = 0
  ended = false
  private size = 0
  private readonly open = new Map<OutputName, Line>()

  private push(line: Line): void {
    this.lines.push(line)
    this.size += line.bytes.length + lineCost
    // Half at a time keeps the cost of a line constant.
    if (this.size > limit * 2) {
      let kept = this.lines.length
      for (let size = 0; kept > 0 && size <= limit; kept--) size += (this.lines[kept - 1]?.bytes.length ?? 0) + lineCost
      this.dropped += kept
      this.lines = this.lines.slice(kept)
      this.size = this.lines.reduce((sum, { bytes }) => sum + bytes.length + lineCost, 0)
    }
  }

  append(bytes: Uint8Array, output: OutputName, time: number): void {
    for (let rest = bytes; rest.length > 0;) {
      const before = this.open.get(output)
      const end = rest.indexOf(10) + 1
      const length = Math.min(end === 0 ? rest.length : end, longestLine - (before?.bytes.length ?? 0))
      const piece = rest.subarray(0, length)
      const line = {
        time: before?.time ?? time,
        bytes: before === undefined ? Buffer.from(piece) : Buffer.concat([before.bytes, piece])
      }
      if (length === end || line.bytes.length === longestLine) {
        this.push(line)
        this.open.delete(output)
      } else this.open.set(output, line)
      rest = rest.subarray(length)
    }
  }

  end(): void {
    for (const line of this.open.values()) this.push(line)
    this.open.clear()
    this.ended = true
  }
}

/** `RFC3339NanoFixed`, in which the runtime interface writes times. */
const stamp = (time: number): Uint8Array => Buffer.from(`${new Date(time).toISOString().replace("Z", "000000Z")} `)

export const makeContainerLog: Effect.Effect<ContainerLog> = Effect.gen(function*() {
  let run = new Run()
  let previous: Run | undefined
  let begun = false
  const grown = yield* PubSub.sliding<void>(1)
  const change = (make: (now: number) => void) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      make(now)
      return PubSub.publish(grown, undefined)
    })
  const pieces = (of: Run, { follow = false, limitBytes, since, tailLines, timestamps = false }: LogOptions) =>
    Stream.unwrap(Effect.map(PubSub.subscribe(grown), (changes) => {
      const first = tailLines === undefined ? 0 : Math.max(0, of.lines.length - tailLines)
      let position = of.dropped + first
      let left = limitBytes ?? Infinity
      const take = (): Uint8Array | undefined => {
        const taken: Array<Uint8Array> = []
        let size = 0
        position = Math.max(position, of.dropped)
        for (; size < Math.min(pieceSize, left); position++) {
          const line = of.lines[position - of.dropped]
          if (line === undefined) break
          if (since !== undefined && line.time < since) continue
          if (timestamps) taken.push(stamp(line.time))
          taken.push(line.bytes)
          size += line.bytes.length + (timestamps ? 31 : 0)
        }
        const bytes = Buffer.concat(taken).subarray(0, left)
        left -= bytes.length
        return bytes.length === 0 ? undefined : bytes
      }
      const next: Effect.Effect<Uint8Array | undefined> = Effect.suspend(() => {
        if (left <= 0) return Effect.succeed(undefined)
        const bytes = take()
        if (bytes !== undefined) return Effect.succeed(bytes)
        return of.ended || !follow ? Effect.succeed(undefined) : Effect.andThen(PubSub.take(changes), next)
      })
      return Stream.fromEffectRepeat(next).pipe(Stream.takeWhile((bytes) => bytes !== undefined))
    }))
  return {
    begin: change(() => {
      run.end()
      if (begun) previous = run
      run = new Run()
      begun = true
    }),
    append: (bytes, output = "stdout") => change((now) => run.append(bytes, output, now)),
    end: change(() => run.end()),
    hasPrevious: () => previous !== undefined,
    read: (options = {}) =>
      Stream.suspend(() => {
        const of = options.previous === true ? previous : run
        return of === undefined ? Stream.empty : pieces(of, options)
      })
  }
})
