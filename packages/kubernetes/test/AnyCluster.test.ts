/**
 * Programs and pods one by one, on any cluster.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Cluster } from "kuberun"
import { Buffer } from "node:buffer"
import { createHash, randomBytes } from "node:crypto"
import { anyCluster, created, manifest, nameOf, namespace, run, running } from "./AnyCluster.ts"

layer(anyCluster, { excludeTestServices: true, timeout: "2 minutes" })("on any cluster", (it) => {
  it.effect("a pod is created, followed until it runs, and until it is gone", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster
      const pod = yield* running("life")
      const read = yield* cluster.readPod(pod)
      assert.deepStrictEqual([read.metadata.uid, read.status?.phase], [pod.uid, "Running"])
      const ends = cluster.watchPod(pod).pipe(Stream.takeUntil(({ _tag }) => _tag === "Absent"), Stream.runCollect)
      const [events] = yield* Effect.all([
        ends,
        cluster.deletePod(pod, { uid: pod.uid, gracePeriodSeconds: 1 })
      ], { concurrency: "unbounded" })
      assert.strictEqual(events.at(-1)?._tag, "Absent")
      const gone = yield* Effect.flip(cluster.readPod(pod))
      assert.strictEqual(gone.reason._tag, "NotFound")
    }), 120_000)

  it.effect("refusals are told apart: taken, invalid, not there, another of that name", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster
      const { metadata } = yield* created("refused")
      const reasonOf = (call: Effect.Effect<unknown, { readonly reason: { readonly _tag: string } }>) =>
        Effect.map(Effect.flip(call), ({ reason }) => reason._tag)
      assert.deepStrictEqual([
        yield* reasonOf(cluster.createPod(manifest(metadata.name))),
        yield* reasonOf(cluster.createPod(manifest("Not_A_Name"))),
        yield* reasonOf(cluster.createPod(manifest(nameOf("image"), { image: "" }))),
        yield* reasonOf(cluster.readPod({ namespace, name: nameOf("none") })),
        yield* reasonOf(cluster.deletePod(metadata, { uid: "00000000-0000-0000-0000-000000000000" }))
      ], ["AlreadyExists", "Rejected", "Rejected", "NotFound", "Conflict"])
    }), 120_000)

  it.effect("what happens to a pod is told, from its scheduling on", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster
      const pod = yield* running("told")
      const reasons = yield* cluster.podNotices({ namespace, name: pod.name, uid: pod.uid ?? "" }).pipe(
        Stream.map(({ reason }) => reason),
        Stream.takeUntil((reason) => reason === "Started"),
        Stream.runCollect
      )
      assert.includeMembers(reasons, ["Scheduled", "Started"])
    }), 120_000)

  it.effect(
    "programs have stdin with its end, stdout and stderr apart, and an exit code",
    () =>
      Effect.gen(function*() {
        const pod = yield* running("exec")
        const exec = (command: ReadonlyArray<string>, stdin?: Uint8Array) =>
          run({ pod, container: "main", command }, stdin)
        const plain = yield* exec(["sh", "-c", "cat; echo oops >&2; exit 7"], Buffer.from("through"))
        assert.deepStrictEqual(
          [plain.exit, plain.stdout.toString(), plain.stderr.toString()],
          [{ _tag: "Exited", code: 7 }, "through", "oops\n"]
        )
        const bytes = randomBytes(8 * 1024 * 1024)
        const back = yield* exec(["cat"], bytes)
        const hash = (of: Uint8Array) => createHash("sha256").update(of).digest("hex")
        assert.deepStrictEqual([back.exit, hash(back.stdout)], [{ _tag: "Exited", code: 0 }, hash(bytes)])
        const missing = yield* exec(["kuberun-no-such-program"])
        assert.notDeepEqual(missing.exit, { _tag: "Exited", code: 0 })
      }),
    120_000
  )

  it.effect("a terminal has its size, and changes it", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster
      const pod = yield* running("tty")
      const script = "stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.1; done"
      const program = yield* cluster.exec({
        pod,
        container: "main",
        command: ["sh", "-c", script],
        terminal: { columns: 91, rows: 17 }
      })
      let text = ""
      let asked = false
      yield* Stream.runForEach(program.output, ({ bytes }) => {
        text += Buffer.from(bytes).toString()
        if (asked || !text.includes("ready")) return Effect.void
        asked = true
        return program.resize({ columns: 101, rows: 31 })
      })
      assert.match(text, /^17 91\r\nready\r\n31 101\r\n$/)
      assert.deepStrictEqual(yield* program.exit, { _tag: "Exited", code: 3 })
    }).pipe(Effect.scoped), 120_000)
})
