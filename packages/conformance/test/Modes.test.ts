import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually, type Service, start } from "./support/Service.ts"

/** Names of pods in the service's cluster, whoever made them. */
const podNames = ({ run }: Service) =>
  Effect.map(run("kubectl get pods -o name"), ({ out }) => out.split("\n").filter((line) => line !== "").toSorted())

/** A second replica of the service over the cluster of the first. */
const replicaOf = ({ kubeconfig }: Service, pod: Readonly<Record<string, unknown>>) => start({ kubeconfig, pod })

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

describe("a warm pool", () => {
  it.live(
    "hands its pods out one by one, refills, and is emptied at the service's end",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({
          pod: { podSpec: { containers: [{ name: "shell", image: "kuberun.test/slow-1500ms" }] } },
          config: { pool: { size: 2 } }
        })
        const waiting = Effect.map(
          service.run("kubectl get pods -l kuberun.dev/pool=default --no-headers | grep -c Running"),
          ({ out }) => out.trim()
        )
        assert.strictEqual(yield* eventually(waiting, (count) => count === "2"), "2")
        const client = yield* service.script("exec $SSH 'hostname; read line'", "open")
        yield* client.stdoutMatch(/\n/)
        const name = (yield* client.stdout).trim()
        const labels = yield* service.run(`kubectl get pod ${name} -o jsonpath='{.metadata.labels}'`)
        assert.include(labels.out, `"containerssh_username":"demo"`)
        assert.notInclude(labels.out, "kuberun.dev/pool")
        assert.strictEqual(yield* eventually(waiting, (count) => count === "2"), "2")
        yield* client.write("\n")
        assert.strictEqual(yield* client.exit, 0)
        assert.deepStrictEqual(
          yield* eventually(service.pods, (pods) => !pods.some((pod) => pod.name === name)).pipe(
            Effect.map((pods) => pods.filter((pod) => pod.name === name))
          ),
          []
        )
      })),
    60_000
  )

  it.live("is shared by replicas that never give one pod to two", () =>
    Effect.scoped(Effect.gen(function*() {
      const options = { config: { pool: { size: 3 } } }
      const one = yield* start(options)
      const other = yield* start({ ...options, kubeconfig: one.kubeconfig })
      const script = "for n in 1 2 3 4 5 6; do $SSH 'hostname; sleep 1' & done; wait"
      const [here, there] = yield* Effect.all([one.run(script), other.run(script)], { concurrency: 2 })
      const names = `${here.out}${there.out}`.split("\n").filter((name) => name !== "")
      assert.lengthOf(names, 12, here.err + there.err)
      assert.strictEqual(new Set(names).size, 12)
      // The end of one leaves a pool that the other keeps.
      yield* other.process.signal("SIGTERM")
      assert.strictEqual(yield* other.process.exit, 0)
      const left = Effect.map(one.pods, (pods) => pods.length)
      assert.strictEqual(yield* eventually(left, (count) => count === 3), 3)
    })), 60_000)

  it.live("is emptied when the last service ends", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make()
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-pool-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const kubeconfig = join(folder, "kubeconfig")
      writeFileSync(kubeconfig, cluster.kubeconfig)
      const service = yield* start({ kubeconfig, config: { pool: { size: 3 } } })
      const count = Effect.map(service.pods, (pods) => pods.length)
      assert.strictEqual(yield* eventually(count, (pods) => pods === 3), 3)
      yield* service.process.signal("SIGTERM")
      assert.strictEqual(yield* service.process.exit, 0)
      assert.strictEqual(yield* eventually(count, (pods) => pods === 0), 0)
    })), 60_000)
})

describe("limits in time", () => {
  it.live(
    "end a connection on which nothing happens, and warn its terminals before",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { idleTimeout: "4s", warning: "2s" } })
        const shell = yield* service.script("exec script -qec 'TERM=dumb exec $SSH -tt' /dev/null", "open")
        yield* shell.stdoutMatch(/[$#] $/)
        yield* shell.stdoutMatch(/kuberun: [^\r]*ends in 2s/)
        // Whoever types then stays.
        yield* shell.write("echo st''ill here\n")
        yield* shell.stdoutMatch(/still here/)
        yield* shell.stdoutMatch(/kuberun: [^\r]*so this session ends\./)
        assert.strictEqual(yield* shell.exit, 255)
        yield* service.podsGone
      })),
    60_000
  )

  it.live(
    "end a connection, however busy it is, when its pod has lasted long enough",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({ pod: { maxLifetime: "4s", warning: "2s" } })
        const { code, err } = yield* service.run("$SSH 'while :; do echo busy; sleep 0.2; done' > /dev/null")
        assert.strictEqual(code, 255)
        assert.match(err, /^kuberun: This session ends: 4s is all that it may last\.\n$/)
        yield* service.podsGone
      })),
    60_000
  )
})
