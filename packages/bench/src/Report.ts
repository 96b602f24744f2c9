/** What was measured, as a text to read and as JSON to compare. */
import { Effect, FileSystem, Path } from "effect"
import { availableParallelism, cpus, release, totalmem, type } from "node:os"
import { type Fresh } from "./FreshCluster.ts"
import { type Burst, changes } from "./PodBurst.ts"
import type { PromptCase, PromptOptions } from "./Prompt.ts"

/** On what it was measured: figures of two machines do not compare. */
export interface Machine {
  readonly cores: number
  readonly processor: string
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
}

export const machine = (): Machine => ({
  cores: availableParallelism(),
  processor: cpus()[0]?.model.trim() ?? "unknown",
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  system: `${type()} ${release()}`,
  node: process.version
})

/** A size with all watchers, and the same with one: what lies between them are the others' events. */
export interface Size {
  readonly watched: Burst
  readonly alone: Burst
}

export interface MiniclusterReport {
  readonly date: string
  readonly machine: Machine
  readonly notes: ReadonlyArray<string>
  readonly fresh: Fresh
  readonly sizes: ReadonlyArray<Size>
}

const MiB = 2 ** 20

/** CPU of the cluster's process for one more event of one more watcher, in microseconds. */
const cpuPerEvent = ({ alone, watched }: Size): number =>
  (watched.changes.cpuMillis - alone.changes.cpuMillis) * 1000 / (watched.changes.events - alone.changes.events)

interface Row {
  readonly what: string
  readonly unit: string
  readonly value: (size: Size) => number
  readonly digits: number
  /** Whether a growth between sizes says something. */
  readonly growth: boolean
}

const row = (what: string, unit: string, digits: number, growth: boolean, value: (size: Size) => number): Row => ({
  what,
  unit,
  digits,
  growth,
  value
})

const rows: ReadonlyArray<Row> = [
  row("time for a pod to start", "ms", 1, true, ({ watched }) => watched.start.millis / watched.pods),
  row("time for a pod to be deleted", "ms", 1, true, ({ watched }) => watched.deletion.millis / watched.pods),
  row("cluster's CPU for a start", "ms", 1, true, ({ watched }) => watched.start.cpuMillis / watched.pods),
  row("cluster's CPU for a deletion", "ms", 1, true, ({ watched }) => watched.deletion.cpuMillis / watched.pods),
  row(
    "cluster's CPU for a pod with one watcher",
    "ms",
    1,
    true,
    ({ alone }) => (alone.start.cpuMillis + alone.deletion.cpuMillis) / alone.pods
  ),
  row(
    "CPU of a pod's own processes",
    "ms",
    1,
    true,
    ({ watched }) => (watched.start.childrenCpuMillis + watched.deletion.childrenCpuMillis) / watched.pods
  ),
  row(
    "watch events delivered",
    "",
    0,
    false,
    ({ watched }) => watched.start.events + watched.changes.events + watched.deletion.events
  ),
  row("cluster's CPU for an event delivered", "µs", 0, true, cpuPerEvent),
  row(
    "cluster's CPU for a change with one watcher",
    "µs",
    0,
    true,
    ({ alone }) => alone.changes.cpuMillis * 1000 / changes
  ),
  row("resident before", "MiB", 0, false, ({ watched }) => watched.residentBytes.before / MiB),
  row("resident with all running", "MiB", 0, false, ({ watched }) => watched.residentBytes.running / MiB),
  row(
    "resident for a pod",
    "KiB",
    0,
    false,
    ({ watched }) => (watched.residentBytes.running - watched.residentBytes.before) / 1024 / watched.pods
  )
]

const table = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)))
  const pad = (line: ReadonlyArray<string>) =>
    `| ${
      line.map((text, column) => column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)).join(
        " | "
      )
    } |`
  const rule = widths.map((width, column) => column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)
  const [head = [], ...body] = lines
  return [head, rule, ...body].map(pad).join("\n")
}

const quantile = (ascending: ReadonlyArray<number>, share: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN

const quantiles = (values: ReadonlyArray<number>) =>
  [0, 0.5, 0.95].map((share) => `${quantile(values, share).toFixed(0)} ms`)

const where = (date: string, { cores, memoryGiB, node, processor, system }: Machine): string =>
  `${date.slice(0, 10)}: ${cores} cores of ${processor}, ${memoryGiB} GiB, ${system}, Node ${node}.`

export interface PromptReport {
  readonly date: string
  readonly machine: Machine
  readonly options: PromptOptions
  readonly cases: ReadonlyArray<PromptCase>
}

/** Markdown. */
export const promptAsText = ({ cases, date, machine, options }: PromptReport): string =>
  [
    "# Until the program's first byte",
    where(date, machine),
    `From the start of \`ssh\`, with a key exchange and a login, in the embedded cluster with image \`${options.image}\`; ` +
    `client, service and cluster on the same machine. ${options.logins} logins one after another, then all at once.`,
    table([
      ["", "least", "median", "95 %", "at once: least", "median", "95 %"],
      ...cases.map(({ alone, atOnce, name }) => [name, ...quantiles(alone), ...quantiles(atOnce)])
    ])
  ].join("\n\n")

/** Markdown. Growth is the largest size's figure by that of the size which is nearest to a fifth of it. */
export const asText = ({ date, fresh, machine, notes, sizes }: MiniclusterReport): string => {
  const ordered = sizes.toSorted((left, right) => left.watched.pods - right.watched.pods)
  const largest = ordered.at(-1)
  const distance = ({ watched }: Size) => Math.abs(watched.pods - (largest?.watched.pods ?? 0) / 5)
  const base = ordered.toSorted((left, right) => distance(left) - distance(right))[0]
  const growth = ({ growth, value }: Row) =>
    !growth || base === undefined || largest === undefined || base === largest
      ? ""
      : `× ${(value(largest) / value(base)).toFixed(2)}`
  const named = (what: string, values: ReadonlyArray<number>) => [
    what,
    String(values.length),
    ...quantiles(values)
  ]
  return [
    "# Minicluster",
    where(date, machine),
    ...notes,
    `## Pods at once, ${largest?.watched.watchers ?? 0} watchers`,
    table([
      [
        "",
        ...ordered.map(({ watched }) => `${watched.pods} pods`),
        `${largest?.watched.pods} to ${base?.watched.pods}`
      ],
      ...rows.map((row) => [
        row.what,
        ...ordered.map((size) => `${row.value(size).toFixed(row.digits)} ${row.unit}`.trim()),
        growth(row)
      ])
    ]),
    "## A fresh cluster",
    table([
      ["", "measured", "least", "median", "95 %"],
      named("import of the package", fresh.importing),
      named("first of a process", fresh.first),
      named("next of a process", fresh.next)
    ])
  ].join("\n\n")
}

/** Writes both into a folder, which is made if need be. */
export const writeReport = Effect.fnUntraced(function*(folder: string, name: string, text: string, report: unknown) {
  const files = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* files.makeDirectory(folder, { recursive: true })
  yield* files.writeFileString(path.join(folder, `${name}.md`), `${text}\n`)
  yield* files.writeFileString(path.join(folder, `${name}.json`), `${JSON.stringify(report, undefined, 2)}\n`)
})
