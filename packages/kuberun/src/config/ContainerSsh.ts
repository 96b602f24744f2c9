/**
 * The configuration of ContainerSSH's `kubernetes` backend (0.5 and later), turned into ours. Pure.
 *
 * A file that has the key `kubernetes` (or `backend`) at its top is one of ContainerSSH's. Its defaults hold then: names
 * begin with `containerssh-`, the guest agent is used, and a call may take 15 s. `pool` and `instance` may stand beside
 * `kubernetes`, and the keys that ContainerSSH has not (`linger`, `claim`, …) below `kubernetes.pod`. What cannot be
 * honoured is a fault by its name.
 */
import { type ConfigPath, type Fields, isFields } from "../template/TemplatePlaces.ts"
import { unknownKey } from "./PodSpecCheck.ts"

/** One fault in their file; `message` is a sentence that goes on behind the path. */
export interface ForeignFault {
  readonly path: ConfigPath
  readonly message: string
}

/** Our configuration, not yet decoded; what of theirs has no place in it; and where a key of ours stands in their file. */
export interface Translation {
  readonly input: unknown
  readonly faults: ReadonlyArray<ForeignFault>
  readonly origin: (path: ConfigPath) => ConfigPath
}

/** Whether this is a file of ContainerSSH's shape. */
export const isContainerSsh = (input: unknown): input is Fields =>
  isFields(input) && (Object.hasOwn(input, "kubernetes") || Object.hasOwn(input, "backend"))

/** Sections of ContainerSSH's file that are no configuration of a pod, and what there is here instead. */
const elsewhere: Readonly<Record<string, string>> = {
  ssh: "use the flags --listen and --host-key of the command, or the library's own server",
  auth:
    "use the flags --authorized-keys and --password of the command, or an Authenticator of your own with the library",
  security: "use the policies of the library: ForceCommand, AllowCommand, MaxSessions",
  log: "use the flag --log-format of the command",
  metrics: "use the metrics of the library with a reporter of your own",
  audit: "nothing is recorded",
  health: "ask whether the port accepts connections",
  configserver: "the configuration is the same for all users; placeholders tell them apart",
  docker: "only the backend kubernetes is there",
  dockerrun: "only the backend kubernetes is there",
  sshproxy: "only the backend kubernetes is there",
  kuberun: "write what is below it to the file's top level, without kubernetes and backend",
  connection: "it stands below kubernetes in a file with that key",
  pod: "it stands below kubernetes in a file with that key",
  timeouts: "it stands below kubernetes in a file with that key",
  timeout: "use kubernetes.timeouts"
}

/** Keys that are the same in both shapes. */
export const samePodKeys: ReadonlyArray<string> = [
  "mode",
  "createMissingPods",
  "exposeAuthMetadataAsEnv",
  "exposeAuthMetadataAsLabels",
  "exposeAuthMetadataAsAnnotations",
  "claim",
  "linger",
  "idleTimeout",
  "maxLifetime",
  "warning",
  "agentPath",
  "disableAgent",
  "consoleContainer",
  "consoleContainerNumber",
  "subsystems",
  "shellCommand",
  "idleCommand"
]

/** Keys of theirs with another name here. */
const metadataKeys: Readonly<Record<string, string>> = {
  name: "name",
  namespace: "namespace",
  generateName: "namePrefix",
  labels: "labels",
  annotations: "annotations"
}

/** Our keys where theirs are others. */
const renamed: Readonly<Record<string, string>> = {
  podSpec: "spec",
  namespace: "metadata.namespace",
  name: "metadata.name",
  namePrefix: "metadata.generateName",
  labels: "metadata.labels",
  annotations: "metadata.annotations"
}

const cannot = (reason: string) => `cannot be honoured: ${reason}`

const unknown = (known: ReadonlyArray<string>) => `${unknownKey}; allowed here: ${known.join(", ")}`

/** Takes the keys that `names` has, under the names that they have here. */
const pick = (
  from: Fields,
  names: Readonly<Record<string, string>>,
  path: ConfigPath,
  refusal: (key: string) => string
): { readonly taken: Fields; readonly faults: ReadonlyArray<ForeignFault> } => {
  const entries = Object.entries(from)
  return {
    taken: Object.fromEntries(entries.flatMap(([key, value]) => {
      const name = Object.hasOwn(names, key) ? names[key] : undefined
      return name === undefined ? [] : [[name, value]]
    })),
    faults: entries.flatMap(([key]) =>
      Object.hasOwn(names, key) ? [] : [{ path: [...path, key], message: refusal(key) }]
    )
  }
}

const podNames: Readonly<Record<string, string>> = {
  spec: "podSpec",
  metadata: "metadata",
  ...Object.fromEntries(samePodKeys.map((key) => [key, key]))
}

const podRefusal = (key: string): string =>
  Object.hasOwn(renamed, key)
    ? `${unknownKey} in this shape: it is ${renamed[key]} here`
    : unknown(Object.keys(podNames))

const metadataRefusal = (): string =>
  cannot("the metadata of pods that may be set are name, namespace, generateName, labels and annotations")

const translatePod = (pod: unknown): { readonly pod: unknown; readonly faults: ReadonlyArray<ForeignFault> } => {
  const path = ["kubernetes", "pod"]
  const defaults = { namePrefix: "containerssh-", disableAgent: false }
  if (pod === undefined) return { pod: defaults, faults: [] }
  if (!isFields(pod)) return { pod, faults: [] }
  const { faults, taken: { metadata, ...taken } } = pick(pod, podNames, path, podRefusal)
  if (metadata !== undefined && !isFields(metadata)) {
    return {
      pod: { ...defaults, ...taken },
      faults: [...faults, { path: [...path, "metadata"], message: "is not a map: expected object" }]
    }
  }
  const ofMetadata = pick(metadata ?? {}, metadataKeys, [...path, "metadata"], metadataRefusal)
  return { pod: { ...defaults, ...taken, ...ofMetadata.taken }, faults: [...faults, ...ofMetadata.faults] }
}

const backendFaults = (file: Fields): ReadonlyArray<ForeignFault> =>
  !Object.hasOwn(file, "backend") || file.backend === "kubernetes"
    ? []
    : [{ path: ["backend"], message: cannot("expected kubernetes, the only backend that is there") }]

const topKeys = ["kubernetes", "backend", "pool", "instance"]

const topFaults = (file: Fields): ReadonlyArray<ForeignFault> =>
  Object.keys(file).flatMap((key) =>
    topKeys.includes(key) ? [] : [{
      path: [key],
      message: Object.hasOwn(elsewhere, key) ? cannot(elsewhere[key] ?? "") : unknown(topKeys)
    }]
  )

const origin = (path: ConfigPath): ConfigPath => {
  const [section = "", key = "", ...rest] = path
  if (section === "pod" && path.length > 1 && Object.hasOwn(renamed, key)) {
    return ["kubernetes", "pod", ...(renamed[String(key)] ?? "").split("."), ...rest]
  }
  return ["connection", "pod", "timeouts"].includes(String(section)) ? ["kubernetes", ...path] : path
}

/** Turns their file into ours. */
export const translate = (file: Fields): Translation => {
  const common = Object.fromEntries(Object.entries(file).filter(([key]) => key === "pool" || key === "instance"))
  const faults = [...topFaults(file), ...backendFaults(file)]
  const kubernetes = file.kubernetes ?? {}
  if (!isFields(kubernetes)) {
    return {
      input: common,
      faults: [...faults, {
        path: ["kubernetes"],
        message: "is not a map: expected the keys connection, pod and timeouts"
      }],
      origin
    }
  }
  const { faults: sectionFaults, taken } = pick(
    kubernetes,
    { connection: "connection", pod: "pod", timeouts: "timeouts" },
    ["kubernetes"],
    () => unknown(["connection", "pod", "timeouts"])
  )
  const pod = translatePod(taken.pod)
  const timeouts = taken.timeouts ?? {}
  return {
    input: {
      ...common,
      ...(taken.connection === undefined ? {} : { connection: taken.connection }),
      pod: pod.pod,
      timeouts: isFields(timeouts) ? { http: "15s", ...timeouts } : timeouts
    },
    faults: [...faults, ...sectionFaults, ...pod.faults],
    origin
  }
}
