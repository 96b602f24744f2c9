import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Service, start } from "./support/Service.ts"

/** A second replica of the service over the cluster of the first. */
const replicaOf = ({ kubeconfig }: Service, pod: Readonly<Record<string, unknown>>) => start({ kubeconfig, pod })

describe("mode user", () => {
  it.live(
    "gives a user one pod for all connections of all replicas, and everybody else another",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const pod = { mode: "user" }
        const one = yield* start({ pod })
        const other = yield* replicaOf(one, pod)
        const first = yield* one.script("exec ssh $SSH_OPTIONS alice@127.0.0.1 'hostname; read line'", "open")
        const second = yield* other.script("exec ssh $SSH_OPTIONS alice@127.0.0.1 'hostname; read line'", "open")
        yield* first.stdoutMatch(/\n/)
        yield* second.stdoutMatch(/\n/)
        assert.strictEqual(yield* first.stdout, yield* second.stdout)
        const bob = yield* other.run("ssh $SSH_OPTIONS bob@127.0.0.1 hostname")
        assert.notStrictEqual(bob.out, yield* first.stdout)
        yield* first.write("\n")
        assert.strictEqual(yield* first.exit, 0)
        // The one who stays keeps it.
        yield* second.write("\n")
        assert.strictEqual(yield* second.exit, 0)
        yield* one.podsGone
      })),
    60_000
  )

  it.live(
    "keeps the pod for a while after the last connection, and the user's claim for good",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const pod = { mode: "user", linger: "3s", claim: { mountPath: "/home/user" } }
        const service = yield* start({ pod })
        const { err, out } = yield* service.run(`
        ssh $SSH_OPTIONS alice@127.0.0.1 'echo kept > note; echo stays > /home/user/note'
        ssh $SSH_OPTIONS alice@127.0.0.1 'cat note'
      `)
        assert.strictEqual(out, "kept\n", err)
        yield* service.podsGone
        const later = yield* service.run(
          "ssh $SSH_OPTIONS alice@127.0.0.1 'cat note 2> /dev/null; cat /home/user/note'"
        )
        assert.strictEqual(later.out, "stays\n", later.err)
        yield* service.podsGone
      })),
    60_000
  )

  it.live(
    "is not undone by a replica that is killed: the pod stays for the others, and goes after them",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const pod = { mode: "user" }
        const one = yield* start({ pod })
        const other = yield* replicaOf(one, pod)
        const held = yield* one.script(
          "exec ssh $SSH_OPTIONS alice@127.0.0.1 'hostname; read line; echo still here'",
          "open"
        )
        yield* held.stdoutMatch(/\n/)
        const lost = yield* other.script("exec ssh $SSH_OPTIONS alice@127.0.0.1 'echo in; sleep 1000'")
        yield* lost.stdoutMatch(/in/)
        yield* other.process.signal("SIGKILL")
        yield* other.process.exit
        yield* held.write("\n")
        assert.strictEqual(yield* held.exit, 0)
        assert.match(yield* held.stdout, /still here\n$/)
        // The killed replica's hold counts until its Lease has been silent for as long as it lasts.
        yield* one.podsGone
      })),
    120_000
  )
})
