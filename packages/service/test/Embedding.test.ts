import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Process } from "@kuberun/testkit"
import { Effect, FileSystem } from "effect"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const example = `${root}packages/service/examples/embedded.ts`

describe("the README's embedding example", () => {
  it.live("is the one that is checked and run here", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const readme = yield* fs.readFileString(`${root}README.md`)
      assert.include(readme, `\`\`\`ts\n${yield* fs.readFileString(example)}\`\`\`\n`)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("serves a pod over ssh from somebody else's program", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* fs.makeTempDirectoryScoped({ prefix: "kuberun-embedded-" })
      const cluster = yield* make()
      yield* fs.writeFileString(`${cwd}/kubeconfig`, cluster.kubeconfig)
      const embedded = yield* Process.start(
        `${root}node_modules/.bin/node`,
        ["--conditions=@kuberun/source", example],
        {
          cwd,
          env: { KUBECONFIG: `${cwd}/kubeconfig` }
        }
      )
      const [, port = ""] = yield* embedded.stdoutMatch(/ssh -p (\d+)/)
      const ssh = ["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
      const client = yield* Process.start("ssh", [
        ...ssh,
        "-o",
        "BatchMode=yes",
        "-p",
        port,
        "me@127.0.0.1",
        "hostname"
      ], {
        cwd
      })
      assert.strictEqual(yield* client.exit, 0, yield* client.stderr)
      assert.match(yield* client.stdout, /^kuberun-[a-z0-9]+\n$/)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
