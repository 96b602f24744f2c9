/** One container without a cluster around it. */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ByteSource } from "../../src/runtime/Bytes.ts"
import { type ContainerOptions, type RunningContainer, startContainer } from "../../src/runtime/Container.ts"
import { makeContainerLog } from "../../src/runtime/ContainerLog.ts"
import { detectIsolation } from "../../src/runtime/Isolation.ts"
import { type Container, type Pod } from "../../src/shapes/Objects.ts"

export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "container-test-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
)

export const podOf = (spec: Partial<Pod["spec"]> = {}, metadata: Partial<Pod["metadata"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "pod",
    namespace: "default",
    uid: "11111111-2222-3333-4444-555555555555",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...metadata
  },
  spec: {
    containers: [],
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    nodeName: "minicluster",
    ...spec
  },
  status: { phase: "Pending" }
})

export const specOf = (spec: Partial<Container> = {}): Container => ({
  name: "main",
  image: "busybox",
  command: ["sleep", "1000"],
  ...spec
})

/** Starts one with what is given in place of the usual. */
export const started = Effect.fnUntraced(
  function*(spec: Partial<Container>, options: Partial<ContainerOptions> = {}, withNamespaces = true) {
    const isolation = yield* detectIsolation(withNamespaces)
    const folder = yield* temporaryFolder
    const log = yield* makeContainerLog
    return yield* startContainer({
      isolation,
      pod: podOf(),
      spec: specOf(spec),
      directory: join(folder, "pod"),
      environment: {},
      mounts: [],
      log,
      ...options
    })
  }
)

export const textOf = (source: ByteSource | undefined): Effect.Effect<string> =>
  Effect.gen(function*() {
    const pieces: Array<Uint8Array> = []
    if (source === undefined) return ""
    for (let bytes = yield* source.read; bytes !== undefined; bytes = yield* source.read) pieces.push(bytes)
    return Buffer.concat(pieces).toString()
  })

/** The first text up to and with `mark`. */
export const until = (source: ByteSource | undefined, mark: string): Effect.Effect<string> =>
  Effect.gen(function*() {
    let text = ""
    if (source === undefined) return text
    while (!text.includes(mark)) {
      const bytes = yield* source.read
      if (bytes === undefined) return text
      text += Buffer.from(bytes).toString()
    }
    return text
  })

/** What a script in the container prints on both of its outputs. */
export const outputIn = (container: RunningContainer, script: string) =>
  Effect.scoped(Effect.gen(function*() {
    const argv = ["sh", "-c", `exec 2>&1; ${script}`]
    const program = yield* container.exec({ argv, stdin: false, stdout: true, stderr: false, terminal: undefined })
    return yield* textOf(program.stdout)
  }))
