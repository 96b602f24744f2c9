/** The judge: kubectl, unchanged, where the machine has it. */
import { assert } from "@effect/vitest"
import { make, type Minicluster } from "@kuberun/minicluster"
import { Context, Effect, Layer, type Scope } from "effect"
import { Buffer } from "node:buffer"
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openPty, type TerminalSize } from "../../src/runtime/Pty.ts"
import { spawnClean } from "../../src/runtime/Spawn.ts"
import { eventually } from "./Client.ts"

export const hasKubectl = spawnSync("kubectl", ["version", "--client"]).status === 0

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** What is to be printed: lines compared without their padding and their ages, or a pattern for the text as it came. */
export type Expected = string | ReadonlyArray<string> | RegExp

export interface Options {
  readonly input?: string
  readonly environment?: Readonly<Record<string, string>>
}

/** A kubectl that has not ended. */
export interface Running {
  /** Waits until what was printed so far, on either output, matches. */
  readonly until: (pattern: RegExp) => Effect.Effect<string>
  readonly type: (text: string) => Effect.Effect<void>
  readonly end: Effect.Effect<Outcome>
}

/** A kubectl in a terminal. */
export interface Terminal {
  readonly until: (pattern: RegExp) => Effect.Effect<string>
  readonly type: (text: string) => Effect.Effect<void>
  readonly resize: (size: TerminalSize) => Effect.Effect<void>
  readonly end: Effect.Effect<{ readonly code: number; readonly text: string }>
}

/** A command line is split at its spaces; single quotes hold together what they embrace. */
const words = (line: string): ReadonlyArray<string> =>
  (line.match(/(?:[^\s']|'[^']*')+/g) ?? []).map((word) => word.replaceAll("'", ""))

/** Columns lose their padding, and ages their number: `Ns`. */
export const tidy = (text: string): string =>
  text
    .replaceAll(/[ \t]+$/gm, "")
    .replaceAll(/(\S) {2,}/g, "$1  ")
    .replaceAll(/\b\d+(?:m\d+)?s\b/g, "Ns")
    .trim()

const compare = (line: string, text: string, expected: Expected) => {
  if (expected instanceof RegExp) return assert.match(text, expected, `kubectl ${line}`)
  const wanted = typeof expected === "string" ? expected : expected.join("\n")
  assert.strictEqual(tidy(text), tidy(wanted), `kubectl ${line}`)
}

const makeKubectl = Effect.gen(function*() {
  const home = mkdtempSync(join(tmpdir(), "minicluster-kubectl-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 })))
  const cluster: Minicluster = yield* Effect.orDie(make())
  writeFileSync(join(home, "config"), cluster.kubeconfig)
  const base = { PATH: process.env["PATH"] ?? "", HOME: home, KUBECONFIG: join(home, "config") }

  const start = (line: string, environment: Options["environment"] = {}): ChildProcessWithoutNullStreams => {
    const child = spawn("kubectl", words(line), { cwd: home, env: { ...base, ...environment }, stdio: "pipe" })
    child.stdin.on("error", () => {})
    return child
  }

  const outcomeOf = (child: ChildProcessWithoutNullStreams) => {
    const text = { out: "", err: "" }
    let code: number | undefined
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (text.out += piece))
    child.stderr.setEncoding("utf8").on("data", (piece: string) => (text.err += piece))
    const closed = new Promise<Outcome>((resolve) =>
      child.once("close", (status) => resolve({ code: code = status ?? -1, ...text }))
    )
    return { closed, ended: () => code !== undefined, said: () => text.out + text.err }
  }

  const run = (line: string, { environment, input = "" }: Options = {}): Effect.Effect<Outcome> =>
    Effect.callback((resume) => {
      const child = start(line, environment)
      void outcomeOf(child).closed.then((outcome) => resume(Effect.succeed(outcome)))
      child.stdin.end(input)
      return Effect.sync(() => child.kill())
    })

  return {
    cluster,
    /** The working folder, and HOME. */
    home,
    run,
    /** A child with pipes, for what is too much for a string. */
    start,
    /** A file in the working folder. */
    write: (name: string, content: string | object, mode = 0o644): string => {
      writeFileSync(join(home, name), typeof content === "string" ? content : JSON.stringify(content), { mode })
      return name
    },
    /** Ends with 0 and prints just this on stdout; its stdout. */
    says: Effect.fnUntraced(function*(line: string, expected: Expected, options?: Options) {
      const { code, err, out } = yield* run(line, options)
      assert.strictEqual(code, 0, `kubectl ${line}: ${out}${err}`)
      compare(line, out, expected)
      return out
    }),
    /** Ends with this code and prints just this on stderr. */
    fails: Effect.fnUntraced(function*(line: string, expected: Expected, code = 1, options?: Options) {
      const outcome = yield* run(line, options)
      assert.strictEqual(outcome.code, code, `kubectl ${line}: ${outcome.out}${outcome.err}`)
      compare(line, outcome.err, expected)
    }),
    /** Killed with the scope, when it has not ended before. */
    follow: Effect.fnUntraced(function*(
      line: string,
      options: Options = {}
    ): Effect.fn.Return<Running, never, Scope.Scope> {
      const child = start(line, options.environment)
      const { closed, ended, said } = outcomeOf(child)
      yield* Effect.addFinalizer(() =>
        Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Effect.promise(() => closed))
      )
      const end = Effect.promise(() => closed)
      return {
        until: (pattern) =>
          Effect.map(eventually(() => pattern.test(said()) || ended(), said), () => {
            assert.match(said(), pattern, `kubectl ${line}`)
            return said()
          }),
        type: (text) => Effect.sync(() => child.stdin.write(text)),
        end
      }
    }),
    /** In a terminal of 100 columns and 30 rows. */
    inTerminal: Effect.fnUntraced(function*(line: string): Effect.fn.Return<Terminal, never, Scope.Scope> {
      const terminal = yield* Effect.orDie(openPty({ width: 100, height: 30 }))
      const script = `exec 0<>"$0" 1>&0 2>&0; exec kubectl "$@"`
      const command = { file: "/bin/sh", args: ["-c", script, terminal.path, ...words(line)], environment: base }
      const child = spawnClean(command, ["ignore", "ignore", "ignore"])
      const exited = new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? -1)))
      yield* Effect.addFinalizer(() =>
        Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Effect.promise(() => exited))
      )
      yield* Effect.forkScoped(Effect.andThen(Effect.promise(() => exited), terminal.programEnded), {
        startImmediately: true
      })
      let text = ""
      let ended = false
      const read = Effect.gen(function*() {
        for (let piece = yield* terminal.source.read; piece !== undefined; piece = yield* terminal.source.read) {
          text += Buffer.from(piece).toString()
        }
        ended = true
      })
      yield* Effect.forkScoped(read, { startImmediately: true })
      return {
        until: (pattern) =>
          Effect.map(eventually(() => pattern.test(text) || ended, () => text), () => {
            assert.match(text, pattern, `kubectl ${line}`)
            return text
          }),
        type: (input) => Effect.asVoid(terminal.sink.write(Buffer.from(input))),
        resize: terminal.resize,
        end: Effect.gen(function*() {
          const code = yield* Effect.promise(() => exited)
          yield* eventually(() => ended, () => text)
          return { code, text }
        })
      }
    })
  }
})

/** One cluster, and kubectl with its kubeconfig; both end with the layer. */
export class Kubectl extends Context.Service<Kubectl, Effect.Success<typeof makeKubectl>>()("test/Kubectl") {
  static readonly layer = Layer.effect(Kubectl, makeKubectl)
}

/** Effects that do not depend on each other: as many at once as do not stand in each other's way on two cores. */
export const together = <E, R>(...effects: ReadonlyArray<Effect.Effect<unknown, E, R>>): Effect.Effect<void, E, R> =>
  Effect.all(effects, { concurrency: 4, discard: true })

/** A pod of two containers that ends at once when it is told to. */
export const webPod = (name: string, metadata: object = {}, spec: object = {}): object => {
  const container = (name: string, greeting: string) => ({
    name,
    image: "busybox:1.36",
    command: ["sh", "-c", `trap 'exit 0' TERM; echo ${greeting}; while :; do sleep 60 & wait; done`]
  })
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: name }, ...metadata },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          ...container("main", "hello"),
          env: [{ name: "GREETING", value: "hi" }],
          ports: [{ name: "http", containerPort: 8080 }],
          resources: { requests: { cpu: "10m", memory: "16Mi" } }
        },
        container("side", "from the side")
      ],
      ...spec
    }
  }
}

/** Creates `webPod("web")` and waits until it is ready. */
export const startWebPod = Effect.gen(function*() {
  const { says, write } = yield* Kubectl
  write("web.json", webPod("web"))
  yield* says("create -f web.json", "pod/web created")
  yield* says("wait --for=condition=Ready pod/web --timeout=30s", "pod/web condition met")
})
