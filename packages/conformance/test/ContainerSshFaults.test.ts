/**
 * Faults that ContainerSSH's Kubernetes backend has had, each as a behaviour that is right here. The sixth (`maxSessions`
 * counts what was ever opened) is in kuberun's `MaxSessions.test.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually, start } from "./support/Service.ts"
import { connect, run } from "./support/SshClient.ts"

describe("faults of ContainerSSH that are not here", () => {
  it.live("1: a channel's pod leaks in mode session", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ pod: { mode: "session" } })
      yield* service.run("$SSH -M -S shared -fN; for n in 1 2 3; do $SSH -S shared true; done")
      // The connection stays: it is the channels that take their pods with them.
      assert.deepStrictEqual(yield* eventually(service.pods, (pods) => pods.length === 0), [])
      yield* service.run("$SSH -S shared -O exit")
    })), 60_000)

  it.live("2: a pod that is not ready in time is forgotten, and leaks", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ image: "kuberun.test/slow-60s", config: { timeouts: { podStart: "1s" } } })
      const { code, err } = yield* service.run("$SSH true")
      assert.strictEqual(code, 255)
      assert.match(err, /^kuberun: [^\n]+\n$/)
      yield* service.podsGone
    })), 60_000)

  it.live(
    "3: an image without the agent hangs the connection, its end and its pod",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { disableAgent: false, agentPath: "/nowhere/agent" } })
        const ran = yield* service.run(
          "$SSH -M -S shared -fN; for n in 1 2 3; do $SSH -S shared 'echo in' & done; wait"
        )
        assert.strictEqual(ran.out, "in\nin\nin\n", ran.err)
        yield* service.run("$SSH -S shared -O exit")
        yield* service.podsGone
      })),
    60_000
  )

  it.live("4: a signal while the pod shuts down locks the connection up", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({
        pod: {
          podSpec: { containers: [{ name: "shell", image: "busybox" }], terminationGracePeriodSeconds: 3 },
          // Stays until it is killed.
          idleCommand: ["/bin/sh", "-c", "trap : TERM; while :; do sleep 1; done"]
        }
      })
      const client = yield* connect(service)
      const program = yield* run(client, "trap : TERM HUP; echo ready; while :; do sleep 0.1; done")
      yield* program.says(/ready/)
      const [pod] = yield* service.pods
      assert.isDefined(pod)
      yield* service.deletePod(pod)
      const answers = yield* Effect.forEach(
        ["TERM", "HUP", "USR1", "TERM"],
        (name) => Effect.timeoutOption(program.request("signal", name), "20 seconds"),
        { concurrency: "unbounded" }
      ).pipe(Effect.raceFirst(Effect.as(program.ended, [])))
      assert.isTrue(answers.every(({ _tag }) => _tag === "Some"))
      const { err } = yield* program.ended
      assert.match(err, /^kuberun: Your pod \S+ was deleted, so this session ends\.\n$/)
      client.end()
      yield* service.podsGone
      assert.strictEqual((yield* service.run("$SSH 'echo in'")).out, "in\n")
    })), 60_000)

  it.live("5: the exit code is another container's", () =>
    Effect.scoped(Effect.gen(function*() {
      const containers = ["zeta", "shell", "alpha"].map((name) => ({
        name,
        image: "busybox",
        ...(name === "shell" ? {} : { command: ["sleep", "1000"] })
      }))
      const service = yield* start({
        pod: { mode: "session", consoleContainer: "shell", podSpec: { containers, terminationGracePeriodSeconds: 1 } }
      })
      assert.strictEqual((yield* service.run("$SSH 'exit 7'")).code, 7)
      yield* service.podsGone
    })), 60_000)

  it.live(
    "8: a client that leaves while its pod starts goes unseen, and a failed start is not told",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const slow = yield* start({ image: "kuberun.test/slow-60s" })
        const client = yield* slow.script("exec $SSH true")
        yield* eventually(slow.pods, (pods) => pods.length === 1)
        yield* client.signal("SIGKILL")
        yield* slow.podsGone
        const failing = yield* start({ image: "kuberun.test/missing" })
        const { code, err } = yield* failing.run("$SSH true")
        assert.strictEqual(code, 255)
        assert.match(err, /^kuberun: [^\n]*image[^\n]*\n$/)
      })),
    60_000
  )

  it.live("9: without the agent there is no env and there are no signals", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start()
      const client = yield* connect(service)
      const program = yield* run(client, "echo \"$COLOUR\"; sleep 1000", { env: { COLOUR: "red; 'blue'" } })
      yield* program.says(/^red; 'blue'\n$/)
      assert.isTrue(yield* program.request("signal", "TERM"))
      assert.strictEqual((yield* program.ended).signal, "TERM")
    })), 60_000)
})
