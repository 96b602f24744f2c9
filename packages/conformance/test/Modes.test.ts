import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually, type Service, start } from "./support/Service.ts"

/** Names of pods in the service's cluster, whoever made them. */
const podNames = ({ run }: Service) =>
  Effect.map(run("kubectl get pods -o name"), ({ out }) => out.split("\n").filter((line) => line !== "").toSorted())

describe("mode session", () => {
  it.live(
    "gives each channel of a connection a pod of its own, with the exit code of its container",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { mode: "session" } })
        const { err, out } = yield* service.run(`
        $SSH -M -S shared -fN
        for n in 1 2 3; do $SSH -S shared hostname & done | sort -u | wc -l
        wait
        $SSH -S shared 'echo out; echo err >&2; exit 7'; echo $?
        printf 'a\\nb\\n' | $SSH -S shared 'cat; echo end'; echo $?
        head -c 3000000 /dev/urandom > sent; $SSH -S shared cat < sent > back; cmp sent back && echo same
        $SSH -S shared -O exit 2> /dev/null
      `)
        assert.strictEqual(out.replaceAll(" ", ""), "3\nout\n7\na\nb\nend\n0\nsame\n", err)
        assert.include(err, "err\n")
        yield* service.podsGone
      })),
    60_000
  )

  it.live(
    "has a terminal like any other, and nothing of how it began on it",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { mode: "session" } })
        const shell = yield* service.script(
          `exec script -qec 'stty cols 90 rows 30; TERM=dumb exec $SSH -tt "stty size; read line; echo got \\$line; exit 5"' /dev/null`,
          "open"
        )
        yield* shell.stdoutMatch(/30 90/)
        assert.match(yield* shell.stdout, /^\r?(?:\r\u001b\[K|kuberun: [^\r]*)*30 90\r\n$/)
        yield* shell.write("typed\n")
        assert.strictEqual(yield* shell.exit, 5)
        assert.match(yield* shell.stdout, /30 90\r\ntyped\r\ngot typed\r\n/)
        yield* service.podsGone
      })),
    60_000
  )

  it.live(
    "takes the pod with its channel, however that ends, and leaves those of the others",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { mode: "session" } })
        yield* (yield* service.script("exec $SSH -M -S shared -fN")).exit
        const stays = yield* service.script("exec $SSH -S shared 'echo here; read line; exit 3'", "open")
        yield* stays.stdoutMatch(/here/)
        const goes = yield* service.script("exec $SSH -S shared 'echo here; sleep 1000'")
        yield* goes.stdoutMatch(/here/)
        assert.lengthOf(yield* service.pods, 2)
        yield* goes.signal("SIGKILL")
        assert.lengthOf(yield* eventually(service.pods, (pods) => pods.length === 1), 1)
        yield* stays.write("\n")
        assert.strictEqual(yield* stays.exit, 3)
        assert.lengthOf(yield* eventually(service.pods, (pods) => pods.length === 0), 0)
        yield* service.run("$SSH -S shared -O exit")
      })),
    60_000
  )

  it.live(
    "delivers signals, and tells of a pod that is deleted from under its program",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { mode: "session" } })
        const client = yield* service.script("exec $SSH 'echo here; sleep 1000'")
        yield* client.stdoutMatch(/here/)
        const [pod] = yield* service.pods
        assert.isDefined(pod)
        yield* service.deletePod(pod)
        assert.strictEqual(yield* client.exit, 255)
        assert.match(yield* client.stderr, /^kuberun: Your pod \S+ was deleted, so this session ends\.\n$/)
        yield* service.podsGone
      })),
    60_000
  )
})

describe("mode persistent", () => {
  it.live(
    "uses the pod that the name says, for every connection, and leaves it",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const pod = { mode: "persistent", name: "desk-{{username}}", createMissingPods: true }
        const service = yield* start({ pod })
        const { out } = yield* service.run(`
        ssh $SSH_OPTIONS alice@127.0.0.1 'echo kept > note; hostname'
        ssh $SSH_OPTIONS alice@127.0.0.1 'cat note; hostname'
        ssh $SSH_OPTIONS bob@127.0.0.1 'cat note 2>/dev/null; hostname'
      `)
        assert.strictEqual(out, "desk-alice\nkept\ndesk-alice\ndesk-bob\n")
        assert.deepStrictEqual(yield* podNames(service), ["pod/desk-alice", "pod/desk-bob"])
      })),
    60_000
  )

  it.live("says which pod is missing where it may not make one", () =>
    Effect.scoped(Effect.gen(function*() {
      const service = yield* start({ pod: { mode: "persistent", name: "desk-{{username}}" } })
      const { code, err } = yield* service.run("ssh $SSH_OPTIONS alice@127.0.0.1 hostname")
      assert.strictEqual(code, 255)
      assert.match(err, /^kuberun: .*desk-alice.*\n$/)
      assert.deepStrictEqual(yield* podNames(service), [])
    })), 60_000)
})
