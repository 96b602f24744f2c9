import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, type Path, Redacted } from "effect"
import { type GenerateKey, open } from "../src/StateFolder.ts"

/** Numbers the keys, so that a new one is told from an old one. */
const counting = (): GenerateKey => {
  let made = 0
  return (comment) =>
    Effect.sync(() => {
      made++
      return { privateKey: Redacted.make(`private ${made} ${comment}`), publicKey: `public ${made} ${comment}` }
    })
}

const inTemporaryFolder = <A, E>(
  use: (folder: string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>
) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    return yield* use(yield* fileSystem.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeServices.layer))

const modeOf = Effect.fn(function*(path: string) {
  const { mode } = yield* (yield* FileSystem.FileSystem).stat(path)
  return (mode & 0o777).toString(8)
})

describe("the state folder", () => {
  it.effect("and all of its files are their owner's alone, whatever the umask is", () =>
    inTemporaryFolder((working) =>
      Effect.gen(function*() {
        const before = process.umask(0)
        yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(before)))
        const folder = yield* open(working, counting())
        yield* folder.hostKey
        yield* folder.clientKey
        assert.strictEqual(yield* modeOf(folder.path), "700")
        const files = yield* (yield* FileSystem.FileSystem).readDirectory(folder.path)
        assert.deepStrictEqual(files.toSorted(), [
          ".gitignore",
          "client_key",
          "client_key.pub",
          "host_key",
          "host_key.pub"
        ])
        for (const file of files) assert.strictEqual(yield* modeOf(`${folder.path}/${file}`), "600", file)
      }).pipe(Effect.scoped)
    ))

  it.effect("makes its keys once and finds them again", () =>
    inTemporaryFolder((working) =>
      Effect.gen(function*() {
        const generate = counting()
        const first = yield* open(working, generate)
        const hostKey = Redacted.value(yield* first.hostKey)
        const { publicKey } = yield* first.clientKey
        const second = yield* open(working, generate)
        assert.strictEqual(Redacted.value(yield* second.hostKey), hostKey)
        assert.strictEqual((yield* second.clientKey).publicKey, publicKey)
      })
    ))

  it.effect("makes a pair anew when only its public half was written", () =>
    inTemporaryFolder((working) =>
      Effect.gen(function*() {
        const fileSystem = yield* FileSystem.FileSystem
        const generate = counting()
        const folder = yield* open(working, generate)
        yield* fileSystem.writeFileString(`${folder.path}/client_key.pub`, "public of a lost draft\n")
        assert.include((yield* folder.clientKey).publicKey, "public 1")
      })
    ))

  it.effect("says what to do when the public half is gone", () =>
    inTemporaryFolder((working) =>
      Effect.gen(function*() {
        const folder = yield* open(working, counting())
        yield* folder.clientKey
        yield* (yield* FileSystem.FileSystem).remove(`${folder.path}/client_key.pub`)
        const error = yield* Effect.flip(folder.clientKey)
        assert.match(error.message, /client_key\.pub is missing\. Delete .*client_key too/)
      })
    ))

  it.effect("is refused, with the command that mends it, when others can look inside", () =>
    inTemporaryFolder((working) =>
      Effect.gen(function*() {
        const fileSystem = yield* FileSystem.FileSystem
        const { path } = yield* open(working, counting())
        for (const mode of [0o755, 0o750, 0o701, 0o770]) {
          yield* fileSystem.chmod(path, mode)
          const error = yield* Effect.flip(open(working, counting()))
          assert.strictEqual(error.reason, "StateFolder")
          assert.include(error.message, `chmod 700 ${path}`)
        }
        yield* fileSystem.chmod(path, 0o700)
        yield* open(working, counting())
      })
    ))

  it.effect("refuses a key that others can read", () =>
    inTemporaryFolder((working) =>
      Effect.gen(function*() {
        const fileSystem = yield* FileSystem.FileSystem
        const folder = yield* open(working, counting())
        yield* folder.hostKey
        yield* folder.clientKey
        for (const mode of [0o644, 0o640, 0o604, 0o620]) {
          yield* fileSystem.chmod(`${folder.path}/host_key`, mode)
          assert.include((yield* Effect.flip(folder.hostKey)).message, `chmod 600 ${folder.path}/host_key`)
          yield* fileSystem.chmod(`${folder.path}/client_key`, mode)
          assert.include((yield* Effect.flip(folder.clientKey)).message, `chmod 600 ${folder.path}/client_key`)
        }
        yield* fileSystem.chmod(`${folder.path}/host_key`, 0o400)
        yield* folder.hostKey
      })
    ))

  it.effect("is refused when it is a file, or cannot be made", () =>
    inTemporaryFolder((working) =>
      Effect.gen(function*() {
        yield* (yield* FileSystem.FileSystem).writeFileString(`${working}/.kuberun`, "")
        assert.include((yield* Effect.flip(open(working, counting()))).message, "is not a folder")
        const error = yield* Effect.flip(open(`${working}/nowhere`, counting()))
        assert.match(error.message, /^cannot make the state folder .*: there is no such file$/)
      })
    ))
})
