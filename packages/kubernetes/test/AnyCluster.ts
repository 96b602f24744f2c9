/**
 * A cluster for tests of what holds on any: by default the embedded one, with `KUBERUN_TEST_KUBECONFIG` the one that it names, and
 * with `KUBERUN_TEST_IMAGE` an image for it that has `sh` and the usual tools. Nothing here is a behaviour that only
 * the embedded cluster has.
 */
import { assert } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import { Cluster, type ExecRequest, type Pod } from "kuberun"
import { Buffer } from "node:buffer"
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { layer as kubernetes } from "../src/index.ts"

const given = process.env["KUBERUN_TEST_KUBECONFIG"]
const image = process.env["KUBERUN_TEST_IMAGE"] ?? "busybox"
export const namespace = process.env["KUBERUN_TEST_NAMESPACE"] ?? "default"

export const anyCluster = Layer.unwrap(
  Effect.map(
    given === undefined
      ? Effect.map(make(), ({ kubeconfig }) => kubeconfig)
      : Effect.sync(() => readFileSync(given, "utf8")),
    (text) => kubernetes({ _tag: "Kubeconfig", text: Redacted.make(text) })
  )
)

export const nameOf = (what: string) => `kuberun-test-${what}-${randomBytes(4).toString("hex")}`

export const manifest = (name: string, container: object = {}, labels: object = {}) => ({
  apiVersion: "v1" as const,
  kind: "Pod" as const,
  metadata: { name, namespace, labels: { "kuberun.dev/test": "any-cluster", ...labels } },
  spec: {
    terminationGracePeriodSeconds: 1,
    restartPolicy: "Never",
    containers: [{ name: "main", image, command: ["sh", "-c", "sleep 3600"], ...container }]
  }
})

export const isRunning = (pod: Pod): boolean => pod.status?.containerStatuses?.[0]?.state?.running !== undefined

/** A pod that is deleted with the scope. */
export const created = Effect.fnUntraced(function*(what: string, container: object = {}, labels: object = {}) {
  const cluster = yield* Cluster
  return yield* Effect.acquireRelease(
    cluster.createPod(manifest(nameOf(what), container, labels)),
    ({ metadata }) => Effect.ignore(cluster.deletePod(metadata, { gracePeriodSeconds: 0 }))
  )
})

export const running = Effect.fnUntraced(function*(what: string, container: object = {}) {
  const cluster = yield* Cluster
  const { metadata } = yield* created(what, container)
  const seen = yield* cluster.watchPod(metadata).pipe(
    Stream.filter((event) => event._tag === "Present" && isRunning(event.pod)),
    Stream.runHead
  )
  assert.isTrue(Option.isSome(seen))
  return metadata
})

/** Runs a program to its end. */
export const run = Effect.fnUntraced(function*(request: ExecRequest, stdin: Uint8Array = new Uint8Array()) {
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
