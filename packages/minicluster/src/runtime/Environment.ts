/** A container's environment from its spec, as the kubelet makes it (`makeEnvironmentVariables`). */
import { Data, Effect } from "effect"
import { Buffer } from "node:buffer"
import { type ApiError } from "../api/Status.ts"
import { type Store } from "../api/Store.ts"
import { type Container, type EnvVar, type KeySelector, type Pod } from "../shapes/Objects.ts"
import { allocatable, fieldValue, resourceValue } from "./Downward.ts"

/** What a container's spec asks for cannot be given: `message` is that of CreateContainerConfigError. */
export class ConfigError extends Data.TaggedError("ConfigError")<{ readonly message: string }> {}

type Variables = Readonly<Record<string, string>>

/**
 * Replaces `$(NAME)` by the variable, leaves what has none as it is, and makes `$$` a `$` that begins no reference
 * (`k8s.io/kubernetes/third_party/forked/golang/expansion`).
 */
export const expand = (text: string, variables: Variables): string =>
  text.replaceAll(/\$(?:\$|\(([^)]*)\))/g, (found: string, name: string | undefined) => {
    if (name === undefined) return "$"
    return Object.hasOwn(variables, name) ? variables[name] ?? "" : found
  })

/** `C_IDENTIFIER` with dots and dashes: `validation.IsEnvVarName`. */
const isVariableName = (name: string): boolean => /^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(name) && !/^\.\.?$/.test(name)

const text = (base64: string): string => Buffer.from(base64, "base64").toString()

/** The texts of a ConfigMap or Secret, or nothing for one that is optional and not there. */
export const textsOf = (
  store: Store,
  namespace: string,
  kind: "configmap" | "secret",
  { name, optional }: { readonly name: string; readonly optional?: boolean }
): Effect.Effect<Variables | undefined, ConfigError> => {
  const found: Effect.Effect<Variables, ApiError> = kind === "configmap"
    ? Effect.map(store.get("configmaps", namespace, name), ({ data = {} }) => data)
    : Effect.map(
      store.get("secrets", namespace, name),
      ({ data = {} }) => Object.fromEntries(Object.entries(data).map(([key, value]) => [key, text(value)]))
    )
  return found.pipe(
    Effect.catch(() =>
      optional === true ? Effect.succeed(undefined) : new ConfigError({ message: `${kind} "${name}" not found` })
    )
  )
}

/** Every container of a pod, of whichever kind. */
export const containersOf = ({ spec }: Pod): ReadonlyArray<Container> => [
  ...(spec.initContainers ?? []),
  ...spec.containers,
  ...(spec.ephemeralContainers ?? [])
]

/** `verifyRunAsNonRoot`: the machine's programs are no image's, and so run as root unless the spec says otherwise. */
const requireNonRoot = ({ metadata, spec }: Pod, container: Container): Effect.Effect<void, ConfigError> => {
  const own = container.securityContext
  const user = own?.runAsUser ?? spec.securityContext?.runAsUser
  if (!(own?.runAsNonRoot ?? spec.securityContext?.runAsNonRoot ?? false) || (user ?? 0) !== 0) return Effect.void
  const what = user === undefined
    ? "container has runAsNonRoot and image will run as root"
    : "container's runAsUser breaks non-root policy"
  const who = `${metadata.name}_${metadata.namespace ?? ""}(${metadata.uid})`
  return new ConfigError({ message: `${what} (pod: "${who}", container: ${container.name})` })
}

/**
 * All variables of a container but those that its image would bring. `base` are the cluster's own: the last resort, and
 * known to references. Later variables win, and may refer to earlier ones.
 *
 * Refuses with the kubelet's words what is missing, and a container that must not and would run as root.
 */
export const resolveEnvironment = Effect.fnUntraced(
  function*(
    store: Store,
    pod: Pod,
    spec: Container,
    base: Variables
  ): Effect.fn.Return<Record<string, string>, ConfigError> {
    const { name: podName, namespace = "" } = pod.metadata
    // Without a prototype, whose names a variable may have.
    const result: Record<string, string> = Object.create(null)
    for (const { configMapRef, prefix = "", secretRef } of spec.envFrom ?? []) {
      const ref = configMapRef ?? secretRef
      if (ref === undefined) continue
      const texts = yield* textsOf(store, namespace, configMapRef === undefined ? "secret" : "configmap", ref)
      for (const [key, value] of Object.entries(texts ?? {})) {
        if (isVariableName(prefix + key)) result[prefix + key] = value
      }
    }
    const keyed = Effect.fnUntraced(function*(kind: "configmap" | "secret", ref: KeySelector) {
      const texts = (yield* textsOf(store, namespace, kind, ref)) ?? {}
      const value = Object.hasOwn(texts, ref.key) ? texts[ref.key] : undefined
      if (value !== undefined || ref.optional === true) return value
      const called = kind === "secret" ? "Secret" : "ConfigMap"
      return yield* new ConfigError({ message: `couldn't find key ${ref.key} in ${called} ${namespace}/${ref.name}` })
    })
    // A pod's address and labels may be newer than what the caller began with.
    const current = yield* store.get("pods", namespace, podName).pipe(Effect.catch(() => Effect.succeed(pod)))
    const valueOf = Effect.fnUntraced(function*({ value = "", valueFrom }: EnvVar) {
      if (value !== "" || valueFrom === undefined) return expand(value, { ...base, ...result })
      const { configMapKeyRef, fieldRef, resourceFieldRef, secretKeyRef } = valueFrom
      if (configMapKeyRef !== undefined) return yield* keyed("configmap", configMapKeyRef)
      if (secretKeyRef !== undefined) return yield* keyed("secret", secretKeyRef)
      if (resourceFieldRef !== undefined) {
        const { containerName = spec.name } = resourceFieldRef
        const container = containersOf(pod).find(({ name }) => name === containerName) ?? spec
        return resourceValue(container, resourceFieldRef, yield* allocatable(store, pod))
      }
      const path = fieldRef?.fieldPath ?? ""
      return fieldValue(current, path) ??
        (yield* new ConfigError({ message: `unsupported fieldPath: ${path}` }))
    })
    for (const variable of spec.env ?? []) {
      const value = yield* valueOf(variable)
      if (value !== undefined) result[variable.name] = value
    }
    yield* requireNonRoot(pod, spec)
    return { ...base, ...result }
  }
)
