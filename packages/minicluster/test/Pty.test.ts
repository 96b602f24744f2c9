import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { openPty } from "../src/runtime/Pty.ts"
import { spawnClean } from "../src/runtime/Spawn.ts"

it.live("what a program wrote before its end is read after it, to the last byte, and then comes the end", () =>
  Effect.gen(function*() {
    const pty = yield* openPty({ width: 80, height: 24 })
    const script = `exec 0<>"$0" 1>&0 2>&0; stty -onlcr; head -c 3000 /dev/zero | tr '\\0' x; echo end`
    const environment = { PATH: process.env["PATH"] ?? "" }
    const command = { file: "/bin/sh", args: ["-c", script, pty.path], environment }
    const child = spawnClean(command, ["ignore", "ignore", "ignore"])
    yield* Effect.callback<void>((resume) => {
      child.once("exit", () => resume(Effect.void))
    })
    yield* pty.programEnded
    let text = ""
    for (let piece = yield* pty.source.read; piece !== undefined; piece = yield* pty.source.read) {
      text += Buffer.from(piece).toString()
    }
    assert.strictEqual(text, `${"x".repeat(3000)}end\n`)
    assert.isUndefined(yield* pty.source.read)
  }))
