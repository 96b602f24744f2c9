import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as Ssh from "@kuberun/ssh"
import { FakeHandler, OpenSsh } from "@kuberun/testkit"
import { Effect, FileSystem } from "effect"
import { accepted, allowCommand, apply, Authenticator } from "kuberun"

it.live("tells ssh's user what is not allowed", () =>
  Effect.gen(function*() {
    const folder = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
    const { privateKey } = yield* Ssh.generateKey("test")
    const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [privateKey] })
    const handler = yield* FakeHandler.make
    yield* Effect.forkScoped(server.run(apply(handler.handle, allowCommand(["cat"]))))

    const login = { port: server.address.port, folder }
    assert.deepStrictEqual(yield* OpenSsh.run(login, "cat", "hello"), { code: 0, stdout: "hello", stderr: "" })
    assert.deepStrictEqual(yield* OpenSsh.run(login, "cat; id"), {
      code: 255,
      stdout: "",
      stderr: "kuberun: The command \"cat; id\" is not allowed here.\n"
    })
  }).pipe(
    Effect.scoped,
    Effect.provideService(Authenticator, { methods: ["password"], authenticate: () => Effect.succeed(accepted) }),
    Effect.provide(NodeServices.layer)
  ))
