/**
 * What replicas of a service share by way of the cluster: changes of metadata, watches of many pods, Leases, claims, and
 * containers' first processes, on any cluster.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Option, Result, Stream } from "effect"
import { Cluster, type ClusterError, type LeaseManifest, type PodsEvent } from "kuberun"
import { Buffer } from "node:buffer"
import { anyCluster, created, nameOf, namespace, running } from "./AnyCluster.ts"
import { until } from "./ScriptedServer.ts"

const reasonOf = (call: Effect.Effect<unknown, ClusterError>) =>
  Effect.map(Effect.flip(call), ({ reason }) => reason._tag)

const otherUid = "00000000-0000-0000-0000-000000000000"

const lease = (name: string, labels: Readonly<Record<string, string>>): LeaseManifest => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name, namespace, labels },
  spec: {
    holderIdentity: "me",
    leaseDurationSeconds: 30,
    acquireTime: "2026-01-02T03:04:05.000001Z",
    renewTime: "2026-01-02T03:04:05.000001Z"
  }
})

layer(anyCluster, { excludeTestServices: true, timeout: "2 minutes" })("on any cluster", (it) => {
  it.effect(
    "labels and annotations of a pod are set and taken away, and what is not named stays",
    () =>
      Effect.gen(function*() {
        const cluster = yield* Cluster
        const { metadata } = yield* created("patched")
        const set = yield* cluster.patchPod(metadata, {
          labels: { a: "1", b: "2" },
          annotations: { "x.dev/y": "ü \n" }
        })
        assert.deepInclude(set.metadata.labels, { "kuberun.dev/test": "any-cluster", a: "1", b: "2" })
        const taken = yield* cluster.patchPod(metadata, { labels: { a: null } }, { uid: metadata.uid })
        assert.notProperty(taken.metadata.labels, "a")
        assert.deepInclude(taken.metadata.labels, { "kuberun.dev/test": "any-cluster", b: "2" })
        assert.strictEqual(taken.metadata.annotations?.["x.dev/y"], "ü \n")
        assert.strictEqual(yield* reasonOf(cluster.patchPod(metadata, { labels: { a: "no label" } })), "Rejected")
        assert.strictEqual(
          yield* reasonOf(cluster.patchPod({ namespace, name: nameOf("none") }, { labels: { a: "1" } })),
          "NotFound"
        )
      }),
    120_000
  )

  it.effect(
    "a change meant for another identity or an older state is a Conflict, and is not made",
    () =>
      Effect.gen(function*() {
        const cluster = yield* Cluster
        const metadata = yield* running("precondition")
        const patch = { labels: { changed: "yes" } }
        assert.strictEqual(yield* reasonOf(cluster.patchPod(metadata, patch, { uid: otherUid })), "Conflict")
        const { resourceVersion } = metadata
        assert.strictEqual(yield* reasonOf(cluster.patchPod(metadata, patch, { resourceVersion: "1" })), "Conflict")
        const read = yield* cluster.readPod(metadata)
        assert.notProperty(read.metadata.labels, "changed")
        yield* cluster.patchPod(metadata, { annotations: { moved: "on" } })
        assert.deepStrictEqual([
          yield* reasonOf(cluster.deletePod(metadata, { uid: metadata.uid, resourceVersion })),
          yield* reasonOf(cluster.deletePod(metadata, { uid: otherUid }))
        ], ["Conflict", "Conflict"])
        const now = yield* cluster.readPod(metadata)
        assert.isUndefined(now.metadata.deletionTimestamp)
        yield* cluster.deletePod(metadata, { uid: now.metadata.uid, resourceVersion: now.metadata.resourceVersion })
      }),
    120_000
  )

  it.effect("of many that change one state of a pod, exactly one succeeds", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster
      const metadata = yield* running("race")
      const { metadata: { resourceVersion, uid } } = yield* cluster.readPod(metadata)
      const outcomes = yield* Effect.forEach(
        ["a", "b", "c", "d", "e"],
        (owner) => Effect.result(cluster.patchPod(metadata, { labels: { owner } }, { uid, resourceVersion })),
        { concurrency: "unbounded" }
      )
      const won = outcomes.filter(Result.isSuccess)
      assert.strictEqual(won.length, 1)
      assert.deepStrictEqual(
        outcomes.filter(Result.isFailure).map(({ failure }) => failure.reason._tag),
        Array.from({ length: 4 }, () => "Conflict")
      )
      const read = yield* cluster.readPod(metadata)
      assert.strictEqual(read.metadata.labels?.["owner"], won[0]?.success.metadata.labels?.["owner"])
    }), 120_000)

  it.effect(
    "pods are listed and followed by labels: one that loses them has gone from the watch",
    () =>
      Effect.gen(function*() {
        const cluster = yield* Cluster
        const group = nameOf("group")
        const one = yield* created("one", {}, { group, kind: "x" })
        yield* created("two", {}, { group })
        const names = Effect.map(
          cluster.listPods({ namespace, labels: { group, kind: "x" } }),
          (pods) => pods.map(({ metadata }) => metadata.name)
        )
        assert.deepStrictEqual(yield* names, [one.metadata.name])
        const events: Array<PodsEvent> = []
        const watch = yield* Stream.runForEach(
          cluster.watchPods({ namespace, labels: { group } }),
          (event) => Effect.sync(() => events.push(event))
        ).pipe(Effect.forkChild({ startImmediately: true }))
        yield* until(() => events.length > 0)
        assert.strictEqual(events[0]?._tag === "Listed" ? events[0].pods.length : 0, 2)
        const three = yield* created("three", {}, { group })
        const saw = (tag: "Put" | "Removed", name: string) => () =>
          events.some((event) => event._tag === tag && event.pod.metadata.name === name)
        yield* until(saw("Put", three.metadata.name))
        yield* cluster.patchPod(three.metadata, { labels: { group: null } })
        yield* until(saw("Removed", three.metadata.name))
        yield* cluster.patchPod(three.metadata, { labels: { group } })
        yield* cluster.deletePod(one.metadata, { gracePeriodSeconds: 0 })
        yield* until(saw("Removed", one.metadata.name))
        assert.strictEqual(events.filter(({ _tag }) => _tag === "Listed").length, 1)
        yield* Fiber.interrupt(watch)
      }),
    120_000
  )

  it.effect(
    "a Lease is made once, renewed by who has seen its last state, listed, and deleted",
    () =>
      Effect.gen(function*() {
        const cluster = yield* Cluster
        const name = nameOf("lease")
        const ref = { namespace, name }
        const made = yield* Effect.acquireRelease(
          cluster.createLease(lease(name, { lease: name })),
          () => Effect.ignore(cluster.deleteLease(ref))
        )
        assert.deepInclude(made.spec, { holderIdentity: "me", renewTime: "2026-01-02T03:04:05.000001Z" })
        assert.strictEqual(yield* reasonOf(cluster.createLease(lease(name, {}))), "AlreadyExists")
        const spec = { ...made.spec, renewTime: "2026-01-02T03:04:15.000002Z" }
        const renewed = yield* cluster.updateLease({ ...made, spec })
        assert.strictEqual(renewed.spec?.renewTime, "2026-01-02T03:04:15.000002Z")
        assert.notStrictEqual(renewed.metadata.resourceVersion, made.metadata.resourceVersion)
        assert.strictEqual(yield* reasonOf(cluster.updateLease({ ...made, spec })), "Conflict")
        const { resourceVersion: _, ...metadata } = made.metadata
        assert.strictEqual(yield* reasonOf(cluster.updateLease({ ...made, metadata })), "Rejected")
        const listed = yield* cluster.listLeases({ namespace, labels: { lease: name } })
        assert.deepStrictEqual(listed.map((each) => each.metadata.name), [name])
        assert.strictEqual((yield* cluster.listLeases({ namespace, labels: { lease: "another" } })).length, 0)
        assert.deepStrictEqual([
          yield* reasonOf(cluster.deleteLease(ref, { resourceVersion: made.metadata.resourceVersion })),
          yield* reasonOf(cluster.deleteLease(ref, { uid: otherUid }))
        ], ["Conflict", "Conflict"])
        yield* cluster.deleteLease(ref, { uid: made.metadata.uid, resourceVersion: renewed.metadata.resourceVersion })
        assert.strictEqual(yield* reasonOf(cluster.deleteLease(ref)), "NotFound")
        assert.strictEqual(yield* reasonOf(cluster.updateLease(renewed)), "NotFound")
      }),
    120_000
  )

  it.effect("a claim is made once", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster
      const claim = {
        apiVersion: "v1" as const,
        kind: "PersistentVolumeClaim" as const,
        metadata: { name: nameOf("claim"), namespace },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } }
      }
      yield* cluster.createClaim(claim)
      assert.strictEqual(yield* reasonOf(cluster.createClaim(claim)), "AlreadyExists")
    }), 120_000)

  it.effect(
    "a container's first process has its stdin, its output from now on, and an end",
    () =>
      Effect.gen(function*() {
        const cluster = yield* Cluster
        const script = "echo before; while read line; do echo got $line; echo said $line >&2; done; echo ended; exit 5"
        const pod = yield* running("attach", { stdin: true, stdinOnce: true, command: ["sh", "-c", script] })
        const process = yield* cluster.attach({ pod, container: "main" })
        const [output] = yield* Effect.all([
          Stream.runCollect(process.output),
          Stream.run(Stream.make(Buffer.from("one\ntwo\n")), process.stdin)
        ], { concurrency: "unbounded" })
        const text = (tag: "Stdout" | "Stderr") =>
          Buffer.concat(output.filter(({ _tag }) => _tag === tag).map(({ bytes }) => bytes)).toString()
        assert.deepStrictEqual([text("Stdout").replace("before\n", ""), text("Stderr")], [
          "got one\ngot two\nended\n",
          "said one\nsaid two\n"
        ])
        assert.deepStrictEqual(yield* process.exit, { _tag: "Exited", code: 0 })
        const ended = yield* cluster.watchPod(pod).pipe(
          Stream.filter((event) => event._tag === "Present" && event.pod.status?.phase === "Failed"),
          Stream.runHead
        )
        assert.isTrue(Option.isSome(ended))
      }).pipe(Effect.scoped),
    120_000
  )

  it.effect("a container's terminal has the size that was asked for, and changes it", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster
      const script = "while read line; do stty size; done"
      const pod = yield* running("attach-tty", { stdin: true, tty: true, command: ["sh", "-c", script] })
      const process = yield* cluster.attach({ pod, container: "main", terminal: { columns: 91, rows: 17 } })
      let text = ""
      const reader = yield* Stream.runForEach(process.output, ({ bytes }) =>
        Effect.sync(() => {
          text += Buffer.from(bytes).toString()
        })).pipe(Effect.forkChild({ startImmediately: true }))
      // Asked again until the size is the new one: the order of a resize and of input is not promised.
      const keys = Stream.fromEffectRepeat(Effect.as(Effect.sleep("20 millis"), Buffer.from("\n"))).pipe(
        Stream.takeUntil(() => text.includes("31 101")),
        Stream.concat(Stream.make(Buffer.from("\u0004")))
      )
      const typed = yield* Effect.forkChild(Effect.ignore(Stream.run(keys, process.stdin)), { startImmediately: true })
      yield* until(() => text.includes("17 91"))
      yield* process.resize({ columns: 101, rows: 31 })
      yield* Fiber.join(typed)
      yield* Fiber.join(reader)
      assert.include(text, "31 101")
      assert.deepStrictEqual(yield* process.exit, { _tag: "Exited", code: 0 })
    }).pipe(Effect.scoped), 60_000)
})
