/** `npm run bench -- NAME`: each benchmark is a command of its own. */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { fileURLToPath } from "node:url"
import { measureFresh } from "./FreshCluster.ts"
import { measureBurst } from "./PodBurst.ts"
import { measurePrompt } from "./Prompt.ts"
import {
  asText,
  machine,
  type MiniclusterReport,
  promptAsText,
  type PromptReport,
  type Size,
  writeReport
} from "./Report.ts"

const results = fileURLToPath(new URL("../results", import.meta.url))

const usualSizes = [50, 100, 200, 500]

const positive = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withMetavar("N"),
    Flag.withDescription(description),
    Flag.filter((value) => value > 0, () => "it must be at least 1")
  )

const out = Flag.Path("out").pipe(
  Flag.withMetavar("FOLDER"),
  Flag.withDescription("Where the table and the JSON go (default packages/bench/results)"),
  Flag.withDefault(results)
)

const minicluster = Command.make(
  "minicluster",
  {
    pods: positive("pods", `Pods at once; may be given several times (default ${usualSizes.join(", ")})`).pipe(
      Flag.atLeast(0)
    ),
    watchers: positive("watchers", "How many watch all pods (default 50)").pipe(Flag.withDefault(50)),
    fresh: positive("fresh", "In how many processes fresh clusters are started (default 20)").pipe(
      Flag.withDefault(20)
    ),
    out
  },
  Effect.fn(function*({ fresh: processes, out, pods, watchers }) {
    const fresh = yield* measureFresh(processes)
    const measured = yield* Effect.forEach(pods.length === 0 ? usualSizes : pods, (pods) =>
      Effect.gen(function*() {
        yield* Console.error(`${pods} pods`)
        const watched = yield* measureBurst({ pods, watchers })
        const alone = yield* measureBurst({ pods, watchers: 1 })
        const size: Size = { watched: watched.burst, alone: alone.burst }
        return { size, notes: watched.notes }
      }))
    const report: MiniclusterReport = {
      date: new Date().toISOString(),
      machine: machine(),
      notes: measured[0]?.notes ?? [],
      fresh,
      sizes: measured.map(({ size }) => size)
    }
    yield* Console.log(asText(report))
    yield* writeReport(out, "minicluster", asText(report), report)
  })
).pipe(
  Command.withDescription("The embedded cluster: many pods at once with many watchers, and how long a fresh one takes")
)

const prompt = Command.make(
  "prompt",
  {
    logins: positive("logins", "How many logins of each kind (default 20)").pipe(Flag.withDefault(20)),
    image: Flag.String("image").pipe(
      Flag.withDescription(
        "The image of the pods (default kuberun.test/slow-1500ms, which takes so long to be pulled)"
      ),
      Flag.withDefault("kuberun.test/slow-1500ms")
    ),
    out
  },
  Effect.fn(function*({ image, logins, out }) {
    const options = { image, logins }
    const cases = yield* measurePrompt(options)
    const report: PromptReport = { date: new Date().toISOString(), machine: machine(), options, cases }
    yield* Console.log(promptAsText(report))
    yield* writeReport(out, "prompt", promptAsText(report), report)
  })
).pipe(
  Command.withDescription("How long a user waits for a program: with a new pod, one of the pool, and the user's own")
)

export const bench = Command.make("bench").pipe(
  Command.withDescription("Measures of this project's parts, on this machine"),
  Command.withSubcommands([minicluster, prompt])
)
