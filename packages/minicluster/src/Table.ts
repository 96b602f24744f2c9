/** `meta.k8s.io/v1 Table`: the columns that kubectl prints, computed by the server. */
import { type KubeEvent, type KubeObject, type Pod } from "./Objects.ts"
import { type Resource } from "./Store.ts"

interface Column {
  readonly name: string
  readonly type: "string" | "integer"
  readonly format: string
  readonly description: string
  readonly priority: number
}

const column = (name: string, priority = 0, type: Column["type"] = "string"): Column => ({
  name,
  type,
  format: name === "Name" ? "name" : "",
  description: name,
  priority
})

/** `duration.HumanDuration`: the two largest units that say something. */
export const age = (since: string | undefined, now: number): string => {
  if (since === undefined) return "<unknown>"
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const two = (large: number, largeUnit: string, small: number, smallUnit: string) =>
    small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s")
  if (minutes < 180) return `${minutes}m`
  if (hours < 8) return two(hours, "h", minutes % 60, "m")
  if (hours < 48) return `${hours}h`
  return hours < 192 ? two(Math.floor(hours / 24), "d", hours % 24, "h") : `${Math.floor(hours / 24)}d`
}

/** The STATUS column: the phase, unless a container's reason or the deletion says more (`printPod`). */
export const podReason = (pod: Pod): string => {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating"
  let reason: string = pod.status.phase
  for (const { state } of (pod.status.containerStatuses ?? []).toReversed()) {
    reason = state.waiting?.reason ?? state.terminated?.reason ?? reason
  }
  const running = (pod.status.containerStatuses ?? []).some(({ ready, state }) => ready && state.running !== undefined)
  return reason === "Completed" && running ? "Running" : reason
}

const podCells = (pod: Pod, now: number): ReadonlyArray<string> => {
  const statuses = pod.status.containerStatuses ?? []
  const restarts = statuses.reduce((sum, { restartCount }) => sum + restartCount, 0)
  const last = statuses.flatMap(({ lastState }) => lastState.terminated?.finishedAt ?? []).toSorted().at(-1)
  return [
    pod.metadata.name,
    `${statuses.filter(({ ready }) => ready).length}/${pod.spec.containers.length}`,
    podReason(pod),
    restarts > 0 && last !== undefined ? `${restarts} (${age(last, now)} ago)` : String(restarts),
    age(pod.metadata.creationTimestamp, now),
    pod.status.podIP ?? "<none>",
    pod.spec.nodeName ?? "<none>",
    "<none>",
    "<none>"
  ]
}

const eventCells = (event: KubeEvent, now: number): ReadonlyArray<string> => [
  age(event.lastTimestamp, now),
  event.type,
  event.reason,
  `${(event.involvedObject["kind"] ?? "").toLowerCase()}/${event.involvedObject["name"] ?? ""}`,
  event.involvedObject["fieldPath"] ?? "",
  event.source.host === undefined ? event.source.component : `${event.source.component}, ${event.source.host}`,
  event.message,
  age(event.firstTimestamp, now),
  String(event.count),
  event.metadata.name
]

interface Printer {
  readonly columns: ReadonlyArray<Column>
  readonly cells: (object: KubeObject, now: number) => ReadonlyArray<string>
}

const printers: Readonly<Record<Resource, Printer>> = {
  pods: {
    columns: [
      ...["Name", "Ready", "Status", "Restarts", "Age"].map((name) => column(name)),
      ...["IP", "Node", "Nominated Node", "Readiness Gates"].map((name) => column(name, 1))
    ],
    cells: (object, now) => podCells(object as Pod, now)
  },
  events: {
    columns: [
      ...["Last Seen", "Type", "Reason", "Object"].map((name) => column(name)),
      ...["Subobject", "Source"].map((name) => column(name, 1)),
      column("Message"),
      ...["First Seen", "Count", "Name"].map((name) => column(name, 1))
    ],
    cells: (object, now) => eventCells(object as KubeEvent, now)
  },
  namespaces: {
    columns: ["Name", "Status", "Age"].map((name) => column(name)),
    cells: (object, now) => [object.metadata.name, "Active", age(object.metadata.creationTimestamp, now)]
  }
}

/** `withObject` is the query's `includeObject`: each row carries the metadata unless it asks for more or for none. */
export const table = (
  resource: Resource,
  objects: ReadonlyArray<KubeObject>,
  options: {
    readonly version: string
    readonly now: number
    readonly columns: boolean
    readonly withObject: string | null
  }
): object => {
  const { cells, columns } = printers[resource]
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: options.version },
    columnDefinitions: options.columns ? columns : [],
    rows: objects.map((object) => ({
      cells: cells(object, options.now),
      object: options.withObject === "Object"
        ? object
        : { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata }
    }))
  }
}

/** Whether the client's first choice is a table. */
export const wantsTable = (accept: string): boolean => /^\s*application\/json\s*;[^,]*as=Table/.test(accept)
