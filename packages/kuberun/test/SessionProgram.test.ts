import { assert, describe, it } from "@effect/vitest"
import { Time } from "@kuberun/testkit"
import { Effect, Fiber, Sink, Stream } from "effect"
import { ClusterError, NotFound, StreamLost, Unsupported } from "kuberun"
import { connect, settled, statuses, stdout, terminal, writing } from "./SessionDriver.ts"

describe("the program of a session", () => {
  it.effect("says on stderr why there is no pod, and exits with 255", () =>
    Effect.gen(function*() {
      const { client } = yield* connect({ start: "imagePull", startMillis: 2000 })
      yield* client.request(terminal)
      yield* client.request({ _tag: "Shell" })
      yield* Time.pass("3 seconds")
      assert.match(
        (yield* client.texts).stderr,
        /kuberun: Your pod could not be started: its image cannot be pulled: manifest unknown: not found \(ErrImagePull\)\.\r\n$/
      )
      assert.deepStrictEqual(yield* statuses(client), [{ _tag: "Exited", code: 255 }])
    }))

  it.effect("tells the user when the pod is deleted from under the program, and ends it as killed", () =>
    Effect.gen(function*() {
      const { client, fiber, world } = yield* connect()
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* settled
      yield* world.removePod
      yield* settled
      assert.match(
        (yield* client.texts).stderr,
        /^kuberun: Your pod kuberun-[a-z0-9]+ was deleted, so this session ends\.\n$/
      )
      assert.deepStrictEqual((yield* statuses(client)).map((status) => status._tag === "Signaled" && status.signal), [
        "KILL"
      ])
      yield* Time.pass("11 seconds")
      yield* Fiber.join(fiber)
    }))

  it.effect("asks for the pod before it believes that a program was killed on its own", () =>
    Effect.gen(function*() {
      const { client } = yield* connect({
        watches: ["silent"],
        replacedAfterMillis: 500,
        exec: () => Effect.andThen(Effect.sleep("1 second"), writing([], 137))
      })
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* Time.pass("1100 millis")
      assert.match((yield* client.texts).stderr, /was deleted/)
    }))

  it.effect("tells the user of a container that ended with the program, though the cluster says so only later", () =>
    Effect.gen(function*() {
      const { client, world } = yield* connect({
        exec: () => Effect.andThen(Effect.sleep("1 second"), writing([], 137))
      })
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* Time.pass("2 seconds")
      assert.deepStrictEqual(yield* statuses(client), [])
      const [pod] = yield* world.pods
      yield* world.changePod(pod?.metadata.name ?? "", (before) => ({
        ...before,
        status: {
          ...before.status,
          containerStatuses: [{
            name: "shell",
            ready: true,
            restartCount: 1,
            state: { running: {} },
            lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } }
          }]
        }
      }))
      yield* settled
      assert.match((yield* client.texts).stderr, /was restarted \(OOMKilled, exit code 137\)/)
      assert.deepStrictEqual((yield* statuses(client)).map(({ _tag }) => _tag), ["Signaled"])
    }))

  it.effect("never reports success for a program whose end is not known", () =>
    Effect.gen(function*() {
      const error = new ClusterError({ operation: "exec", reason: new StreamLost({ detail: "closed without status" }) })
      const { client } = yield* connect({
        exec: () =>
          Effect.succeed({
            stdin: Sink.drain,
            output: Stream.concat(Stream.make(stdout("half a")), Stream.fail(error)),
            resize: () => Effect.void,
            exit: Effect.fail(error)
          })
      })
      yield* client.request({ _tag: "Exec", command: "make" })
      yield* settled
      const texts = yield* client.texts
      assert.strictEqual(texts.stdout, "half a")
      assert.match(texts.stderr, /lost \(closed without status\)/)
      assert.deepStrictEqual(yield* statuses(client), [{ _tag: "Exited", code: 255 }])
    }))

  it.effect("names the program that the image does not have", () =>
    Effect.gen(function*() {
      const { client } = yield* connect({
        exec: () =>
          Effect.succeed({
            stdin: Sink.drain,
            output: Stream.empty,
            resize: () => Effect.void,
            exit: Effect.succeed({
              _tag: "NotStarted",
              detail: "exec: \"/bin/bash\": executable file not found in $PATH\u001b[31m"
            })
          })
      })
      yield* client.request({ _tag: "Shell" })
      yield* settled
      assert.match(
        (yield* client.texts).stderr,
        /^kuberun: The image of your pod has no \/bin\/bash, which this session needs\.\n$/
      )
      assert.deepStrictEqual(yield* statuses(client), [{ _tag: "Exited", code: 255 }])
    }))

  it.effect("shows a person at a terminal what the pod is doing, from the second second on, and wipes it", () =>
    Effect.gen(function*() {
      const { client } = yield* connect({
        startMillis: 3500,
        exec: () => writing([stdout("$ ")])
      })
      yield* client.request(terminal)
      yield* client.request({ _tag: "Shell" })
      yield* Time.pass("900 millis")
      assert.strictEqual((yield* client.texts).stderr, "")
      yield* Time.pass("3 seconds")
      const { stderr, stdout: prompt } = yield* client.texts
      assert.match(stderr, /^\r\u001b\[K[^\r\n]+, 1 s\r\u001b\[K[^\r\n]+, 2 s\r\u001b\[K[^\r\n]+, 3 s\r\u001b\[K$/)
      assert.strictEqual(prompt, "$ ")
    }))

  it.effect("is silent without a terminal however long the start takes", () =>
    Effect.gen(function*() {
      const { client } = yield* connect({ startMillis: 20_000 })
      yield* client.request({ _tag: "Exec", command: "true" })
      yield* client.eof
      yield* Time.pass("21 seconds")
      assert.deepStrictEqual(yield* client.texts, { stdout: "", stderr: "" })
    }))

  it.effect("that the API server refuses because its pod has just gone is told by the pod's end", () =>
    Effect.gen(function*() {
      const gone = new ClusterError({ operation: "exec", reason: new NotFound({ detail: "pods not found" }) })
      const { client } = yield* connect({
        watches: ["silent"],
        replacedAfterMillis: 500,
        exec: () => Effect.andThen(Effect.sleep("1 second"), Effect.fail(gone))
      })
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* Time.pass("1200 millis")
      assert.match(
        (yield* client.texts).stderr,
        /^kuberun: Your pod kuberun-[a-z0-9]+ was deleted, so this session ends\.\n$/
      )
      assert.deepStrictEqual((yield* statuses(client)).map(({ _tag }) => _tag), ["Signaled"])
    }))

  it.effect("whose stream breaks because its pod has just gone is told by the pod's end", () =>
    Effect.gen(function*() {
      const lost = new ClusterError({ operation: "exec", reason: new StreamLost({ detail: "cut" }) })
      const { client } = yield* connect({
        watches: ["silent"],
        replacedAfterMillis: 500,
        exec: () =>
          Effect.succeed({
            stdin: Sink.drain,
            output: Stream.fromEffectDrain(Effect.andThen(Effect.sleep("1 second"), Effect.fail(lost))),
            resize: () => Effect.void,
            exit: Effect.fail(lost)
          })
      })
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* Time.pass("1200 millis")
      assert.match(
        (yield* client.texts).stderr,
        /^kuberun: Your pod kuberun-[a-z0-9]+ was deleted, so this session ends\.\n$/
      )
      assert.deepStrictEqual((yield* statuses(client)).map(({ _tag }) => _tag), ["Signaled"])
    }))

  it.effect("whose start is not answered ends when its pod does", () =>
    Effect.gen(function*() {
      const { client, world } = yield* connect({ exec: () => Effect.never })
      yield* client.request({ _tag: "Exec", command: "cat" })
      yield* settled
      yield* world.removePod
      yield* settled
      assert.match((yield* client.texts).stderr, /was deleted, so this session ends/)
    }))

  it.effect("that cannot be told the end of its input goes on, and its user is told", () =>
    Effect.gen(function*() {
      const v4 = new ClusterError({ operation: "end stdin", reason: new Unsupported({ detail: "exec protocol v4" }) })
      const { client } = yield* connect({
        exec: () =>
          Effect.succeed({
            stdin: Sink.mapEffect(Sink.drain, () => Effect.fail(v4)),
            output: Stream.fromEffect(Effect.delay(Effect.succeed(stdout("after")), "2 seconds")),
            resize: () => Effect.void,
            exit: Effect.succeed({ _tag: "Exited", code: 3 })
          })
      })
      yield* client.request({ _tag: "Exec", command: "wait" })
      yield* client.eof
      yield* Time.pass("3 seconds")
      assert.deepStrictEqual(yield* client.texts, {
        stdout: "after",
        stderr: "kuberun: Your program cannot be told that its input has ended: exec protocol v4.\n"
      })
      assert.deepStrictEqual(yield* statuses(client), [{ _tag: "Exited", code: 3 }])
    }))
})
