import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { fromBytes, toBytes } from "kuberun"
import { exitMessage } from "../src/ExitStatus.ts"
import * as SessionRequests from "../src/SessionRequests.ts"
import { string, uint32, WireReader } from "../src/WireReader.ts"

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

  it("with bytes that are no UTF-8 has them in its variable and its command", () => {
    const odd = Buffer.from([0x61, 0xe9, 0xff, 0xc3, 0xa9])
    assert.deepStrictEqual(SessionRequests.decode("exec", string(odd)), { _tag: "Exec", command: fromBytes(odd) })
    const decoded = SessionRequests.decode("env", Buffer.concat([string("LANG"), string(odd)]))
    assert.strictEqual(decoded?._tag, "Environment")
    if (decoded?._tag === "Environment") assert.deepStrictEqual(Buffer.from(toBytes(decoded.value)), odd)
  })

  it("of a type that nobody knows keeps its type", () => {
    assert.deepStrictEqual(SessionRequests.decode("tea@test", uint32(5)), { _tag: "Unknown", type: "tea@test" })
  })

  it("to send a signal has its name without SIG", () => {
    for (
      const [sent, name] of [["SIGINT", "INT"], ["USR1", "USR1"], ["RTMIN+3", "RTMIN+3"], [
        "INFO@a.b",
        "INFO@a.b"
      ]] as const
    ) {
      assert.deepStrictEqual(SessionRequests.decode("signal", string(sent)), { _tag: "Signal", name })
    }
  })

  it("to send what is no signal's name is an unknown one", () => {
    for (const sent of ["", "SIG", "int", "9", "TERM; reboot", "TERM\n", "A".repeat(40), "INT@a b", "TERM@x@y"]) {
      assert.deepStrictEqual(SessionRequests.decode("signal", string(sent)), { _tag: "Unknown", type: "signal" }, sent)
    }
  })

  it("for a break says how long, which 0 leaves open", () => {
    assert.isUndefined(SessionRequests.decode("break", Buffer.of(0, 0, 0)))
    for (const milliseconds of [0, 500, 0xffffffff]) {
      assert.deepStrictEqual(SessionRequests.decode("break", uint32(milliseconds)), { _tag: "Break", milliseconds })
    }
  })

  it.effect.prop("has the window's size in characters, and in pixels where they are known", {
    numbers: Schema.Tuple([word, word, word, word])
  }, ({ numbers: [columns, rows, width, height] }) =>
    Effect.sync(() => {
      const sent = Buffer.concat([columns, rows, width, height].map(uint32))
      const size = width === 0 && height === 0 ? { columns, rows } : { columns, rows, pixels: { width, height } }
      assert.deepStrictEqual(SessionRequests.decode("window-change", sent), { _tag: "WindowChange", size })
      const terminal = SessionRequests.decode("pty-req", Buffer.concat([string("vt100"), sent, string("")]))
      assert.deepStrictEqual(terminal, { _tag: "Terminal", term: "vt100", size, modes: new Map() })
    }))

  it("has no pixels where both are zero", () => {
    const sent = Buffer.concat([80, 24, 0, 0].map(uint32))
    assert.deepStrictEqual(SessionRequests.decode("window-change", sent), {
      _tag: "WindowChange",
      size: { columns: 80, rows: 24 }
    })
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

  const signalOf = (signal: string) => {
    const reader = new WireReader(exitMessage(1, { _tag: "Signaled", signal, message: "out of memory" }), 5)
    const parts = [reader.text(), reader.boolean(), reader.text(), reader.boolean(), reader.text(), reader.text()]
    assert.deepStrictEqual([reader.ok, reader.available], [true, 0])
    const [type, wantReply, name, dumped, message, language] = parts
    assert.deepStrictEqual([type, wantReply, dumped, message, language], [
      "exit-signal",
      false,
      false,
      "out of memory",
      ""
    ])
    return name
  }

  it("is each signal that RFC 4254 has a name for, by it", () => {
    const names = ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"]
    for (const name of names) assert.strictEqual(signalOf(name), name)
  })

  it("is another signal by a name of our own", () => {
    assert.strictEqual(signalOf("BUS"), "BUS@kuberun.dev")
    assert.strictEqual(signalOf("RTMIN+3"), "RTMIN+3@kuberun.dev")
    assert.strictEqual(signalOf("INFO@openssh.com"), "INFO@openssh.com")
    for (const none of ["", "not a signal", "bus", "a@b@c"]) assert.strictEqual(signalOf(none), "SIG@kuberun.dev")
  })
})
