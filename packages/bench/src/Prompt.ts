/** How long a user waits for a program: from the start of the real `ssh` until its program's first byte is there. */
import { OpenSsh, Process } from "@kuberun/testkit"
import { Effect, FileSystem, Path } from "effect"

/** Milliseconds in ascending order. */
export type Waits = ReadonlyArray<number>

/** One kind of pod, with logins one after another and all at once. */
export interface PromptCase {
  readonly name: string
  readonly alone: Waits
  readonly atOnce: Waits
}

export interface PromptOptions {
  readonly logins: number
  readonly image: string
}

interface Kind {
  readonly name: string
  readonly config: (options: PromptOptions) => Readonly<Record<string, unknown>>
  /** Whether pods wait, which have to be there before somebody comes. */
  readonly pool: boolean
}

const pod = ({ image }: PromptOptions) => ({
  podSpec: { containers: [{ name: "shell", image }], terminationGracePeriodSeconds: 1 }
})

const kinds: ReadonlyArray<Kind> = [
  { name: "a pod of its own", pool: false, config: (options) => ({ pod: pod(options) }) },
  {
    name: "a pod of the pool",
    pool: true,
    config: (options) => ({ pod: pod(options), pool: { size: options.logins } })
  },
  {
    name: "the user's pod, which runs",
    pool: false,
    config: (options) => ({ pod: { ...pod(options), mode: "user", linger: "1h" } })
  }
]

const login = Effect.fnUntraced(function*(options: OpenSsh.Login) {
  const before = performance.now()
  return yield* Effect.scoped(Effect.gen(function*() {
    const client = yield* OpenSsh.start(options, "echo here")
    yield* client.stdoutMatch(/here/)
    const waited = performance.now() - before
    yield* client.exit
    return waited
  }))
})

/** Waits until so many free pods are ready. */
const full = Effect.fnUntraced(function*(folder: string, size: number) {
  const count = Effect.scoped(Effect.gen(function*() {
    const kubectl = yield* Process.start(
      "kubectl",
      [
        "get",
        "pods",
        "-l",
        "kuberun.dev/pool",
        "-o",
        "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
      ],
      { cwd: folder, env: { KUBECONFIG: ".kuberun/kubeconfig" } }
    )
    yield* kubectl.exit
    return (yield* kubectl.stdout).split(" ").filter((status) => status === "True").length
  }))
  yield* count.pipe(Effect.delay("200 millis"), Effect.repeat({ until: (ready) => ready === size }))
})

const ascending = (values: ReadonlyArray<number>): Waits => values.toSorted((left, right) => left - right)

const measureKind = Effect.fnUntraced(function*(kind: Kind, options: PromptOptions) {
  const files = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* files.makeTempDirectoryScoped({ prefix: "kuberun-bench-" })
  yield* files.writeFileString(path.join(folder, "kuberun.json"), JSON.stringify(kind.config(options)))
  const service = yield* Process.kuberun(
    ["dev", "--listen", "127.0.0.1:0", "--config", "kuberun.json", "--log-level", "error"],
    { cwd: folder }
  )
  const [, port = ""] = yield* service.stdoutMatch(/^ready: ssh .*-p (\d+) /m)
  const client = { folder, port: Number(port), identityFile: path.join(folder, ".kuberun/client_key") }
  const ready = kind.pool ? full(folder, options.logins) : Effect.void
  // The first login is the process' first of everything.
  yield* login(client)
  yield* ready
  const alone = yield* Effect.replicateEffect(Effect.andThen(ready, login(client)), options.logins)
  yield* ready
  const atOnce = yield* Effect.all(Array.from({ length: options.logins }, () => login(client)), {
    concurrency: "unbounded"
  })
  return { name: kind.name, alone: ascending(alone), atOnce: ascending(atOnce) } satisfies PromptCase
}, Effect.scoped)

/** Each kind of pod in a service and an embedded cluster of its own. */
export const measurePrompt = (options: PromptOptions) => Effect.forEach(kinds, (kind) => measureKind(kind, options))
