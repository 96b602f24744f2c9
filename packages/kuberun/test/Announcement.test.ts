import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Sink, Stream } from "effect"
import type { ExecProcess, Output } from "kuberun"
import { closing, opening, reader } from "../src/session/Announcement.ts"
import * as GuestAgent from "../src/session/GuestAgent.ts"
import * as ProgramStart from "../src/session/ProgramStart.ts"

const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))
const word = "w0rd"
const announced = (fields: string) => bytesOf(`${opening(word)}${fields}${closing}`)

/** The bytes in pieces that begin at these places. */
const split = (bytes: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const borders = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return borders.slice(1).map((end, index) => bytes.subarray(borders[index], end))
}

const process = (outputs: ReadonlyArray<Output>): ExecProcess => ({
  stdin: Sink.drain,
  output: Stream.fromIterable(outputs).pipe(Stream.rechunk(1)),
  resize: () => Effect.void,
  exit: Effect.succeed({ _tag: "Exited", code: 0 })
})

/** What comes of the output, by stream, and who announced itself. */
const passed = (outputs: ReadonlyArray<Output>, place: ProgramStart.AnnouncementPlace) =>
  Effect.scoped(Effect.gen(function*() {
    const started = yield* ProgramStart.read(process(outputs), place, "/bin/sh")
    const out = yield* Stream.runCollect(started.process.output)
    const text = (tag: Output["_tag"]) =>
      Buffer.concat(out.filter(({ _tag }) => _tag === tag).map(({ bytes }) => bytes)).toString("latin1")
    return {
      leader: yield* started.leader,
      stdout: text("Stdout"),
      stderr: text("Stderr"),
      exit: yield* started.process.exit
    }
  }))

const places = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))).check(
  Schema.isMaxLength(12)
)

/** Output that begins like an announcement more often than chance would have it. */
const hostile = Schema.Array(Schema.Union([
  Schema.Uint8Array,
  Schema.Literals([
    "\u001b",
    "\u001b]kuberun;",
    opening(word),
    `${opening(word)}12;3`,
    `${opening(word)}12;3${closing}`,
    `${opening("other")}12;3${closing}`,
    ";",
    "!",
    closing,
    "7"
  ])
])).pipe(Schema.check(Schema.isMaxLength(6)))

const written = (pieces: ReadonlyArray<Uint8Array | string>): Uint8Array =>
  Buffer.concat(pieces.map((piece) => typeof piece === "string" ? bytesOf(piece) : piece))

describe("an announcement", () => {
  it.effect.prop(
    "is taken from the beginning of a program's output however that is cut, and every other byte passes in order",
    {
      pid: Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 4_194_304 })),
      started: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
      rest: hostile,
      other: Schema.Array(Schema.Uint8Array).check(Schema.isMaxLength(4)),
      before: Schema.Boolean,
      places,
      terminal: Schema.Boolean
    },
    ({ before, other, pid, places, rest, started, terminal }) =>
      Effect.gen(function*() {
        const on = terminal ? "Stdout" : "Stderr"
        const beside = terminal ? "Stderr" : "Stdout"
        const own = split(Buffer.concat([announced(`${pid};${started}`), written(rest)]), places)
          .map((bytes): Output => ({ _tag: on, bytes }))
        const others = other.map((bytes): Output => ({ _tag: beside, bytes }))
        const result = yield* passed(before ? [...others, ...own] : [...own, ...others], { on, reader: reader(word) })
        assert.deepStrictEqual(result.leader, { pid, started: String(started) })
        const expected = {
          [on]: Buffer.from(written(rest)).toString("latin1"),
          [beside]: Buffer.concat(other).toString("latin1")
        }
        assert.strictEqual(result.stdout, expected["Stdout"])
        assert.strictEqual(result.stderr, expected["Stderr"])
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect("is found at every place where it may be cut", () =>
    Effect.gen(function*() {
      const bytes = Buffer.concat([announced("4711;99"), bytesOf("then")])
      for (let place = 0; place <= bytes.length; place++) {
        const outputs = split(bytes, [place]).map((piece): Output => ({ _tag: "Stderr", bytes: piece }))
        const { leader, stderr } = yield* passed(outputs, { on: "Stderr", reader: reader(word) })
        assert.deepStrictEqual({ leader, stderr }, { leader: { pid: 4711, started: "99" }, stderr: "then" })
      }
    }))

  it.effect.prop(
    "is in nothing that a program writes: all of it passes, and nobody is announced",
    { written: hostile, first: Schema.Literals(["x", "\u001b", opening("other"), `${opening(word)}1;`]), places },
    ({ first, places, written: pieces }) =>
      Effect.gen(function*() {
        // What stands at the beginning was not made with this start's word, or is process 1.
        const bytes = Buffer.concat([bytesOf(first), bytesOf("~"), written(pieces)])
        const outputs = split(bytes, places).map((piece): Output => ({ _tag: "Stderr", bytes: piece }))
        const { leader, stderr } = yield* passed(outputs, { on: "Stderr", reader: reader(word) })
        assert.isUndefined(leader)
        assert.strictEqual(stderr, bytes.toString("latin1"))
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "holds back no byte that cannot be part of one, and never more than a line",
    { bytes: hostile },
    ({ bytes: pieces }) =>
      Effect.sync(() => {
        const bytes = written(pieces)
        const whole = new RegExp(`^\\u001b\\]kuberun;${word};(!|(?!1;)[1-9][0-9]{0,9};[0-9]{0,20})\\u0007`)
        const text = Buffer.from(bytes).toString("latin1")
        const reading = reader(word)(bytes)
        assert.strictEqual(reading._tag === "Found", whole.test(text))
        // Whatever is held back, some ending makes it an announcement.
        if (reading._tag === "More") {
          const missing = opening(word).slice(text.length)
          const ends = [missing, ""].flatMap((head) =>
            ["!", "2;", ";", "2", ""].map((tail) => `${text}${head}${tail}${closing}`)
          )
          assert.isTrue(
            ends.some((end) => whole.test(end)) || text.startsWith(`${opening(word)}1`),
            JSON.stringify(text)
          )
          assert.isAtMost(text.length, opening(word).length + 31)
        }
      }),
    { arbitrary: { runs: 1000 } }
  )

  it.effect("of a missing program becomes what the container runtime would have said", () =>
    Effect.gen(function*() {
      const { exit, leader, stderr } = yield* passed([{ _tag: "Stderr", bytes: announced("!") }], {
        on: "Stderr",
        reader: reader(word)
      })
      assert.deepStrictEqual({ exit, leader, stderr }, {
        exit: { _tag: "NotStarted", detail: "exec: \"/bin/sh\": executable file not found" },
        leader: undefined,
        stderr: ""
      })
    }))

  it.effect.prop(
    "of the guest agent is four bytes, also where a terminal puts a return in front of its line feeds",
    {
      pid: Schema.Union([
        Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 4_194_304 })),
        Schema.Literals([10, 13, 2570, 2573, 3338, 3341, 658_186, 855_309, 658_189])
      ]),
      places,
      terminal: Schema.Boolean
    },
    ({ pid, places, terminal }) =>
      Effect.gen(function*() {
        const four = Buffer.alloc(4)
        four.writeUInt32LE(pid)
        const raw = `${four.toString("latin1")}\nthen`
        const bytes = bytesOf(terminal ? raw.replaceAll("\n", "\r\n") : raw)
        const outputs = split(bytes, places).map((piece): Output => ({ _tag: "Stdout", bytes: piece }))
        const { leader, stdout } = yield* passed(outputs, { on: "Stdout", reader: GuestAgent.reader(terminal) })
        assert.deepStrictEqual({ leader, stdout }, {
          leader: { pid, started: undefined },
          stdout: terminal ? "\r\nthen" : "\nthen"
        })
      }),
    { arbitrary: { runs: 500 } }
  )
})
