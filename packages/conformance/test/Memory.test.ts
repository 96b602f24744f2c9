import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { start } from "./support/Service.ts"

const MiB = 1024 * 1024
const clients = 8
/** What a connection may hold for a client that does not read. */
const heldByEach = 4 * MiB
/** For what V8 has not collected yet, its compiled code, and the connections' own objects. */
const allowance = 48 * MiB

const residentBytes = (pid: number) =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024

describe("the memory of the service", () => {
  // The programs count in a file of this machine, which pods of another cluster do not see.
  it.live.skipIf(process.env["KUBERUN_TEST_KUBECONFIG"] !== undefined)(
    "stays bounded while programs flood clients that do not read",
    () =>
      Effect.scoped(Effect.gen(function*() {
        // The first one only lends its embedded cluster to the second one, so that only the service itself is measured.
        const place = yield* start()
        const service = yield* start({ kubeconfig: place.kubeconfig })
        yield* service.run("$SSH true")
        const before = residentBytes(service.process.pid)
        const marks = join(service.folder, "marks")
        writeFileSync(marks, "")
        const flood = `echo in >&2; while head -c ${MiB} /dev/zero; do printf x >> ${marks}; done`
        yield* Effect.forEach(Array.from({ length: clients }), () =>
          Effect.gen(function*() {
            const client = yield* service.script(`exec $SSH '${flood}' > /dev/null`)
            yield* client.stderrMatch(/^in$/m)
            // Only once its program writes: a client that is stopped before has nothing that could flood it.
            yield* client.signal("SIGSTOP")
          }), { concurrency: "unbounded" })
        // For ten seconds, or until no program has written a further MiB in two of them.
        let last = -1
        let still = 0
        let peak = 0
        yield* Effect.repeat(
          Effect.sync(() => {
            const written = statSync(marks).size
            still = written === last ? still + 1 : 0
            last = written
            peak = Math.max(peak, residentBytes(service.process.pid))
            return still
          }),
          { schedule: Schedule.spaced("100 millis"), times: 100, until: (polls) => polls === 20 }
        )
        assert.isAbove(last, clients)
        assert.strictEqual(still, 20, `the programs went on: ${last} MiB`)
        assert.isBelow(peak - before, clients * heldByEach + allowance)
      })),
    60_000
  )
})
