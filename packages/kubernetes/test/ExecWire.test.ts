import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { execUrl, readStatus, resizeMessage } from "../src/ExecWire.ts"

const request = { pod: { namespace: "n", name: "p" }, container: "c", command: ["echo", "a b"] }

describe("the URL of an exec", () => {
  it("asks for stdin, stdout and stderr without a terminal", () => {
    assert.strictEqual(
      execUrl("https://h:1/prefix", request),
      "wss://h:1/prefix/api/v1/namespaces/n/pods/p/exec?command=echo&command=a%20b&container=c&stdin=true&stdout=true&stderr=true"
    )
  })

  it("asks for no stderr with a terminal, which has only one output", () => {
    const url = execUrl("http://h", { ...request, terminal: { columns: 80, rows: 24 } })
    assert.match(url, /^ws:\/\/h\/.*stdout=true&tty=true$/u)
  })

  it.effect.prop("carries every argument and every name unchanged", {
    command: Schema.Array(Schema.String),
    name: Schema.String,
    container: Schema.String
  }, ({ command, container, name }) =>
    Effect.sync(() => {
      const url = new URL(execUrl("http://h", { pod: { namespace: "n", name: `x${name}` }, container, command }))
      assert.deepStrictEqual(url.searchParams.getAll("command"), command.map((each) => each.toWellFormed()))
      assert.deepStrictEqual(url.searchParams.getAll("container"), [container.toWellFormed()])
      const segments = url.pathname.split("/").map(decodeURIComponent)
      assert.deepStrictEqual(segments, ["", "api", "v1", "namespaces", "n", "pods", `x${name.toWellFormed()}`, "exec"])
    }))

  it("has an encoding also for half a character", () => {
    assert.include(execUrl("http://h", { ...request, command: ["\ud800"] }), "command=%EF%BF%BD")
  })
})

describe("the status", () => {
  const failure = (fields: object) => JSON.stringify({ metadata: {}, status: "Failure", ...fields })
  const exitCode = (message: unknown) =>
    failure({ reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message }] } })

  it("Success is exit code 0", () => {
    assert.deepStrictEqual(readStatus("{\"metadata\":{},\"status\":\"Success\"}"), {
      _tag: "Ended",
      exit: { _tag: "Exited", code: 0 }
    })
  })

  it("NonZeroExitCode holds the code as text", () => {
    assert.deepStrictEqual(readStatus(exitCode("7")), { _tag: "Ended", exit: { _tag: "Exited", code: 7 } })
    assert.deepStrictEqual(readStatus(exitCode("137")), { _tag: "Ended", exit: { _tag: "Exited", code: 137 } })
  })

  it("anything else says why there was no program, in one prefix", () => {
    const message = "error executing command in container: exec: \"x\": executable file not found in $PATH"
    const expected = {
      _tag: "Ended",
      exit: { _tag: "NotStarted", detail: `Internal error occurred: ${message}` }
    } as const
    for (const prefix of ["", "Internal error occurred: ", "Internal error occurred: Internal error occurred: "]) {
      const told = readStatus(
        failure({ reason: "InternalError", message: `${prefix}Internal error occurred: ${message}` })
      )
      assert.deepStrictEqual(told, expected)
    }
  })

  it("without a message is told by its cause", () => {
    const told = readStatus(failure({ reason: "InternalError", details: { causes: [{ message: "why" }] } }))
    assert.deepStrictEqual(told, { _tag: "Ended", exit: { _tag: "NotStarted", detail: "why" } })
  })

  for (const text of ["", "{\"metadata\":{},\"sta"]) {
    it(`"${text}" is not complete`, () => assert.deepStrictEqual(readStatus(text), { _tag: "Incomplete" }))
  }

  for (
    const text of [
      "7",
      "null",
      "[]",
      "{}",
      "{\"status\":\"Other\"}",
      exitCode("seven"),
      exitCode(7),
      failure({ reason: "NonZeroExitCode" })
    ]
  ) {
    it(`${text} cannot be read`, () => assert.deepStrictEqual(readStatus(text), { _tag: "Unreadable" }))
  }
})

describe("a terminal's size", () => {
  const text = (columns: number, rows: number) => {
    const message = resizeMessage({ columns, rows })
    return message === undefined ? undefined : [message[0], Buffer.from(message.subarray(1)).toString()]
  }

  it("goes as JSON on channel 4, within 16 bits", () => {
    assert.deepStrictEqual(text(80, 24), [4, "{\"Width\":80,\"Height\":24}"])
    assert.deepStrictEqual(text(70_000, -1), [4, "{\"Width\":65535,\"Height\":0}"])
    assert.deepStrictEqual(text(Number.NaN, 1.5), [4, "{\"Width\":0,\"Height\":1}"])
  })

  it("is not sent while it is not known", () => assert.isUndefined(text(0, 0)))
})
