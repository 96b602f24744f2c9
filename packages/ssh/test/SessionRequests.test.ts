import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { exitMessage } from "../src/ExitStatus.ts"
import * as SessionRequests from "../src/SessionRequests.ts"
import { string, uint32 } from "../src/WireReader.ts"

const uint8 = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 159 }))
const word = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff }))

describe("terminal modes", () => {
  it.effect.prop("are decoded as they were encoded", {
    modes: Schema.Array(Schema.Tuple([uint8, word])).check(Schema.isMaxLength(60))
  }, ({ modes }) =>
    Effect.sync(() => {
      const encoded = Buffer.concat([...modes.map(([code, value]) => Buffer.of(code, ...uint32(value))), Buffer.of(0)])
      assert.deepStrictEqual(SessionRequests.decodeModes(encoded), new Map(modes))
    }))

  it("end at an opcode that is not defined, and where they are cut short", () => {
    const one = Buffer.of(1, 0, 0, 0, 3)
    for (const rest of [Buffer.of(160, 1, 2, 3, 4), Buffer.of(0, 53, 0, 0, 0, 1), Buffer.of(53, 0, 0), Buffer.of()]) {
      assert.deepStrictEqual(SessionRequests.decodeModes(Buffer.concat([one, rest])), new Map([[1, 3]]))
    }
  })
})

describe("a channel request", () => {
  it("that is cut short is none", () => {
    for (const type of ["env", "pty-req", "exec", "subsystem", "window-change", "signal"]) {
      assert.isUndefined(SessionRequests.decode(type, Buffer.of(0, 0, 0)))
      assert.isUndefined(SessionRequests.decode(type, Buffer.from("\xff\xff\xff\xff", "latin1")))
    }
  })

  it("of a type that nobody knows keeps its type", () => {
    assert.deepStrictEqual(SessionRequests.decode("break", uint32(5)), { _tag: "Unknown", type: "break" })
  })

  it("to send a signal has its name without SIG", () => {
    assert.deepStrictEqual(SessionRequests.decode("signal", string("SIGINT")), { _tag: "Signal", name: "INT" })
  })
})

describe("the exit of a program", () => {
  const status = (message: Buffer) => {
    assert.include(message.toString("latin1"), "exit-status")
    return message.readUInt32BE(message.length - 4)
  }

  it("is its code, a negative one as the system would say it", () => {
    for (const [code, sent] of [[0, 0], [255, 255], [256, 256], [-1, 255], [2 ** 40, 255], [Number.NaN, 255]]) {
      assert.strictEqual(status(exitMessage(1, { _tag: "Exited", code: code ?? 0 })), sent)
    }
  })

  it("is a signal that SSH has a name for, else what a shell would report", () => {
    const killed = exitMessage(1, { _tag: "Signaled", signal: "KILL", message: "out of memory" })
    assert.include(killed.toString("latin1"), "exit-signal")
    assert.include(killed.toString("latin1"), "out of memory")
    assert.strictEqual(status(exitMessage(1, { _tag: "Signaled", signal: "BUS", message: "" })), 135)
    assert.strictEqual(status(exitMessage(1, { _tag: "Signaled", signal: "RTMIN+3", message: "" })), 255)
  })
})
