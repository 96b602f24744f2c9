/**
 * Pods and claims as they are sent to the API server: the user's `podSpec` with the idle command in its console container
 * and its placeholders put in, and labels that tell whose it is. Pure; the configuration is left as it is.
 */
import { type Config, consoleContainer } from "../config/Config.ts"
import type { ClaimManifest, MetadataPatch } from "../ports/ClusterObjects.ts"
import type { Identity } from "../ports/Identity.ts"
import type { Container, Pod, PodManifest, PodSpec } from "../ports/Pod.ts"
import { installationLabels, managedBy, modeKey, ownerKeys, poolKey } from "./Labels.ts"
import { expandName, expandPath, expandVariable, type PlaceholderValues, valuesOf } from "./Placeholders.ts"
import { commonMarks, type Marks, ownerMarks } from "./PodLabels.ts"
import { userClaimName } from "./PodName.ts"
import { labelValue, longestName } from "./SafeText.ts"
import { claimVolume, type Fields, mapPlaces } from "./TemplatePlaces.ts"

/** The values of a pod that is nobody's yet: nothing is put into it (`perUserParts`). */
const nobody: PlaceholderValues = () => ""

const expandSpec = (spec: PodSpec, values: PlaceholderValues): PodSpec =>
  mapPlaces(spec, (text, place) => {
    switch (place) {
      case "env":
        return expandVariable(text, values)
      case "subPath":
        return expandPath(text, values)
      case "claimName":
        return expandName(text, values, longestName)
    }
  })

/** Changes the console container, and no other. */
const inConsole = ({ pod }: Config, spec: PodSpec, change: (console: Container) => Container): PodSpec => {
  const { name } = consoleContainer(pod)
  return {
    ...spec,
    containers: spec.containers.map((container) => container.name === name ? change(container) : container)
  }
}

const listed = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/** Mounts the user's own claim in the console container, where the configuration has one. */
const withClaim = (config: Config, spec: PodSpec, username: string): PodSpec => {
  const claim = userClaim(config, username)
  if (claim === undefined || config.pod.claim === undefined) return spec
  const { mountPath } = config.pod.claim
  const mounted = inConsole(config, spec, (console) => ({
    ...console,
    volumeMounts: [...listed(console.volumeMounts), { name: claimVolume, mountPath }]
  }))
  const volume: Fields = { name: claimVolume, persistentVolumeClaim: { claimName: claim.metadata.name } }
  return { ...mounted, volumes: [...listed(spec.volumes), volume] }
}

const manifest = (config: Config, name: string, marks: Marks, spec: PodSpec): PodManifest => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: config.pod.namespace, labels: marks.labels, annotations: marks.annotations },
  spec
})

const ownedMarks = (config: Config, identity: Identity): Marks => {
  const { annotations, labels } = ownerMarks(config, identity)
  return { labels: { ...labels, ...installationLabels(config), [modeKey]: config.pod.mode }, annotations }
}

const idle = (config: Config, spec: PodSpec): PodSpec =>
  inConsole(config, spec, (console) => ({ ...console, command: config.pod.idleCommand }))

/** The pod to create under `name` for this user, and in mode `user` with their claim. */
export const podManifest = (config: Config, identity: Identity, name: string): PodManifest =>
  manifest(
    config,
    name,
    ownedMarks(config, identity),
    withClaim(config, idle(config, expandSpec(config.pod.podSpec, valuesOf(identity))), identity.username)
  )

/**
 * A pod that waits for a user of this class: the same for all of them, with no owner. A configuration whose pods differ
 * by user in more than labels and annotations (`perUserParts`) cannot have one.
 */
export const poolManifest = (config: Config, name: string, poolClass: string): PodManifest => {
  const { annotations, labels } = commonMarks(config)
  return manifest(
    config,
    name,
    { labels: { ...labels, [poolKey]: poolClass }, annotations },
    idle(config, expandSpec(config.pod.podSpec, nobody))
  )
}

/** The first process of a pod in mode `session`. */
export interface SessionProgramOptions {
  /** Its argument vector. */
  readonly command: ReadonlyArray<string>
  /** With a terminal: standard output and error are one then. */
  readonly terminal: boolean
}

/** Kubernetes expands `$(NAME)` in commands as in variables. */
const verbatim = (text: string): string => text.replaceAll("$", "$$$$")

/**
 * The pod of one session channel, in mode `session`: its console container's first process is the channel's program, whose
 * standard input ends with the first attach to it. The pod ends with it and is not started again.
 */
export const sessionManifest = (
  config: Config,
  identity: Identity,
  name: string,
  { command, terminal }: SessionProgramOptions
): PodManifest => {
  const spec = inConsole(config, expandSpec(config.pod.podSpec, valuesOf(identity)), (console) => ({
    ...without(console, "args"),
    command: command.map(verbatim),
    stdin: true,
    stdinOnce: true,
    tty: terminal
  }))
  return manifest(config, name, ownedMarks(config, identity), { ...spec, restartPolicy: "Never" })
}

const without = (container: Container, field: string): Container => ({
  name: container.name,
  ...Object.fromEntries(Object.entries(container).filter(([key]) => key !== field))
})

/** What a claim from the pool says of the pod: whose it is from now on. */
export const ownerPatch = (config: Config, identity: Identity): MetadataPatch => ownerMarks(config, identity)

/** The claim of a user in mode `user`; `undefined` where the configuration has none. */
export const userClaim = (config: Config, username: string): ClaimManifest | undefined => {
  const { claim, mode, namespace } = config.pod
  if (claim === undefined || mode !== "user") return undefined
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: userClaimName(config, username),
      namespace,
      labels: { ...installationLabels(config), [ownerKeys.username]: labelValue(username) },
      annotations: { [ownerKeys.username]: username }
    },
    spec: {
      accessModes: claim.accessModes,
      resources: { requests: { storage: claim.storage } },
      ...(claim.storageClassName === undefined ? {} : { storageClassName: claim.storageClassName })
    }
  }
}

/**
 * Whether this pod, found under the manifest's name, is the one that the manifest was sent for: it carries the same
 * connection. Asked where a create's answer was lost.
 */
export const isFrom = (sent: PodManifest, pod: Pod): boolean =>
  pod.metadata.labels?.[managedBy.key] === managedBy.value &&
  pod.metadata.annotations?.[ownerKeys.connectionId] === sent.metadata.annotations?.[ownerKeys.connectionId]
