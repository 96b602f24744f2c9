import { assert, it } from "@effect/vitest"
import { FakeHandler, FakeSsh, Time } from "@kuberun/testkit"
import { Effect, Fiber } from "effect"
import { apply, idleTimeout, mapRequests, type Policy } from "kuberun"

const noCopying: Policy = mapRequests((request, { refuse }) =>
  request._tag === "Subsystem" ? refuse("Files cannot be copied here.") : Effect.succeed([request])
)

it.effect("lets nobody copy files, and ends what is idle", () =>
  Effect.gen(function*() {
    const handler = yield* FakeHandler.make
    const { connection, open } = yield* FakeSsh.makeConnection({ username: "alice" })
    const policies = [idleTimeout({ after: "10 minutes" }), noCopying]
    const serving = yield* Effect.forkChild(apply(handler.handle, ...policies)(connection))

    const copying = yield* FakeSsh.makeClient()
    yield* open(copying.channel)
    yield* copying.request({ _tag: "Subsystem", name: "sftp" })
    yield* Time.settle
    assert.strictEqual((yield* copying.texts).stderr, "kuberun: Files cannot be copied here.\n")

    const shell = yield* FakeSsh.makeClient()
    yield* open(shell.channel)
    assert.isTrue(yield* shell.request({ _tag: "Shell" }))
    yield* Time.pass("9 minutes")
    yield* shell.send(new TextEncoder().encode("hello"))
    yield* Time.pass("9 minutes")
    assert.strictEqual((yield* shell.texts).stdout, "hello")
    yield* Time.pass("1 minute")
    yield* Fiber.join(serving)
  }))
