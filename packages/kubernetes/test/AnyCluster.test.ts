/**
 * What holds on any cluster: by default the embedded one, with `KUBERUN_TEST_KUBECONFIG` the one that it names, and
 * with `KUBERUN_TEST_IMAGE` an image for it that has `sh` and the usual tools. Nothing here is a behaviour that only
 * the embedded cluster has.
 */
import { assert, layer } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import { Cluster, type ExecRequest, type Pod } from "kuberun"
import { Buffer } from "node:buffer"
import { createHash, randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { layer as kubernetes } from "../src/index.ts"

const given = process.env["KUBERUN_TEST_KUBECONFIG"]
const image = process.env["KUBERUN_TEST_IMAGE"] ?? "busybox"
const namespace = process.env["KUBERUN_TEST_NAMESPACE"] ?? "default"

const anyCluster = Layer.unwrap(
  Effect.map(
    given === undefined
      ? Effect.map(make(), ({ kubeconfig }) => kubeconfig)
      : Effect.sync(() => readFileSync(given, "utf8")),
    (text) => kubernetes({ _tag: "Kubeconfig", text: Redacted.make(text) })
  )
)

const nameOf = (what: string) => `kuberun-test-${what}-${randomBytes(4).toString("hex")}`

const manifest = (name: string, container: object = {}) => ({
  apiVersion: "v1" as const,
  kind: "Pod" as const,
  metadata: { name, namespace, labels: { "kuberun.dev/test": "any-cluster" } },
  spec: {
    terminationGracePeriodSeconds: 1,
    restartPolicy: "Never",
    containers: [{ name: "main", image, command: ["sh", "-c", "sleep 3600"], ...container }]
  }
})

const isRunning = (pod: Pod): boolean => pod.status?.containerStatuses?.[0]?.state?.running !== undefined

/** A pod that is deleted with the scope. */
const created = Effect.fnUntraced(function*(what: string, container: object = {}) {
  const cluster = yield* Cluster
  return yield* Effect.acquireRelease(
    cluster.createPod(manifest(nameOf(what), container)),
    ({ metadata }) => Effect.ignore(cluster.deletePod(metadata, { gracePeriodSeconds: 0 }))
  )
})

const running = Effect.fnUntraced(function*(what: string) {
  const cluster = yield* Cluster
  const { metadata } = yield* created(what)
  const seen = yield* cluster.watchPod(metadata).pipe(
    Stream.filter((event) => event._tag === "Present" && isRunning(event.pod)),
    Stream.runHead
  )
  assert.isTrue(Option.isSome(seen))
  return metadata
})

/** Runs a program to its end. */
const run = Effect.fnUntraced(function*(request: ExecRequest, stdin: Uint8Array = new Uint8Array()) {
  const cluster = yield* Cluster
  const program = yield* cluster.exec(request)
  const [output] = yield* Effect.all([
    Stream.runCollect(program.output),
    Stream.run(Stream.make(stdin), program.stdin)
  ], { concurrency: "unbounded" })
  const text = (tag: "Stdout" | "Stderr") =>
    Buffer.concat(output.filter(({ _tag }) => _tag === tag).map(({ bytes }) => bytes))
  return { exit: yield* program.exit, stdout: text("Stdout"), stderr: text("Stderr") }
}, Effect.scoped)

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
