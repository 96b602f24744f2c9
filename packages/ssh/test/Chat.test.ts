import { assert, describe, it } from "@effect/vitest"
import { Process } from "@kuberun/testkit"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { openSsh, temporaryFolder } from "./TestServer.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const example = `${root}packages/ssh/examples/chat.ts`

describe("the README's chat", () => {
  it("is the one that is checked and run here, in less than 60 lines", () => {
    const text = readFileSync(example, "utf8")
    assert.include(readFileSync(`${root}packages/ssh/README.md`, "utf8"), `\`\`\`ts\n${text}\`\`\`\n`)
    assert.isBelow(text.trimEnd().split("\n").length, 60)
  })

  it.live("carries what people type from terminal to terminal", () =>
    Effect.gen(function*() {
      const cwd = yield* temporaryFolder
      const chat = yield* Process.start(
        `${root}node_modules/.bin/node`,
        ["--conditions=@kuberun/source", example],
        { cwd, env: { PORT: "0" } }
      )
      const [, port = ""] = yield* chat.stdoutMatch(/ssh -p (\d+)/)
      const join = (name: string, terminal: "-tt" | "-T") =>
        Process.start("ssh", [...openSsh(Number(port)), terminal, `${name}@127.0.0.1`], { cwd, stdin: "open" })

      const ann = yield* join("ann", "-tt")
      yield* ann.stdoutMatch(/Welcome, ann\. Ctrl-D leaves\.\r\n\r\u001b\[Kann: $/)
      const bob = yield* join("bob", "-tt")
      yield* bob.stdoutMatch(/Welcome, bob/)
      yield* ann.stdoutMatch(/\* bob is here\r\n/)

      yield* ann.write("hullo\u007f\u007f\u007f\u007fello \u001b[D☕\r")
      yield* bob.stdoutMatch(/ann: hello ☕\r\n/)
      yield* bob.write("half a li")
      yield* bob.stdoutMatch(/bob: half a li$/)
      yield* ann.write("and?\r")
      // What bob is typing stands below what came in the meantime.
      yield* bob.stdoutMatch(/ann: and\?\r\n\r\u001b\[Kbob: half a li$/)
      yield* bob.write("ne\r")
      yield* ann.stdoutMatch(/bob: half a line\r\n/)

      // Without a terminal nothing is shown that was not said.
      const cat = yield* join("cat", "-T")
      yield* cat.stdoutMatch(/Welcome, cat/)
      yield* ann.write("hi cat\r")
      yield* cat.stdoutMatch(/ann: hi cat\n/)
      yield* cat.write("\u001b[2Jhi\n")
      yield* bob.stdoutMatch(/cat: hi\r\n/)
      assert.strictEqual(yield* cat.stdout, "Welcome, cat. Ctrl-D leaves.\nann: hi cat\n")

      yield* bob.write("\u0004")
      assert.strictEqual(yield* bob.exit, 0, yield* bob.stderr)
      // What comes after on their screen begins on a row of its own.
      assert.isTrue((yield* bob.stdout).endsWith("bob: \r\n"))
      yield* ann.stdoutMatch(/\* bob has left\r\n/)
      yield* cat.signal("SIGKILL")
      yield* ann.stdoutMatch(/\* cat has left\r\n/)
      assert.notInclude(yield* ann.stdout, "ann: and?\r\nann: and?")
    }))
})
