import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually, start } from "./support/Service.ts"

describe("the limits in time of a pod that others use", () => {
  it.live(
    "maxLifetime counts from the pod's start, for all of its connections, and the next one gets another pod",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { mode: "user", linger: "10m", maxLifetime: "6s", warning: "4s" } })
        const early = yield* service.script("exec script -qec \"$SSH -tt 'hostname; sleep 1000'\" /dev/null")
        const [, name = ""] = yield* early.stdoutMatch(/(kuberun-demo-\S+)\r\n/)
        // Told on the terminal before; somebody who comes then has what is left.
        yield* early.stdoutMatch(/kuberun: [^\r]*ends in \d+s/)
        const late = yield* service.script("exec $SSH 'hostname; sleep 1000'")
        yield* late.stdoutMatch(/\n/)
        assert.strictEqual(yield* late.stdout, `${name}\n`)
        assert.strictEqual(yield* late.exit, 255)
        assert.match(yield* late.stderr, /^kuberun: [^\n]*6s[^\n]*\n$/)
        assert.strictEqual(yield* early.exit, 255)
        const left = yield* eventually(service.pods, (pods) => !pods.some((pod) => pod.name === name))
        assert.lengthOf(left.filter((pod) => pod.name === name), 0)
        const next = yield* service.run("$SSH 'echo in'")
        assert.deepStrictEqual([next.out, next.err], ["in\n", ""])
      })),
    60_000
  )

  it.live(
    "idleTimeout ends the silent connection and no other, and the pod stays with that",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { mode: "user", idleTimeout: "3s", warning: "1s" } })
        const busy = yield* service.script("exec $SSH 'while :; do hostname; sleep 0.5; done'")
        yield* busy.stdoutMatch(/\n/)
        const silent = yield* service.run("$SSH 'hostname; sleep 1000'")
        assert.strictEqual(silent.code, 255)
        assert.match(silent.err, /^kuberun: [^\n]*3s[^\n]*\n$/)
        assert.include(yield* busy.stdout, silent.out)
        assert.lengthOf(yield* service.pods, 1)
        yield* busy.signal("SIGTERM")
        yield* service.podsGone
      })),
    60_000
  )
})

describe("shells that are switched off", () => {
  it.live(
    "are refused in a sentence, with a terminal and without, and programs run",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { shellCommand: [] } })
        const sentence = "kuberun: Shells are switched off here: name a program to run."
        const plain = yield* service.run("$SSH")
        assert.deepStrictEqual([plain.code, plain.out, plain.err], [255, "", `${sentence}\n`])
        const screen = yield* service.run("script -qec '$SSH -tt' /dev/null")
        assert.strictEqual(screen.code, 255)
        assert.include(screen.out, `${sentence}\r\n`)
        const program = yield* service.run("$SSH 'echo in; exit 3'")
        assert.deepStrictEqual([program.code, program.out, program.err], [3, "in\n", ""])
      })),
    60_000
  )
})
