/**
 * The configuration of kuberun v0.9.3, `Config`, `ConnectionConfig` and `PodConfig` with its keys and defaults, and what
 * came to it since.
 *
 * Unlike there, everything is checked: an unknown key or a bad value is refused with its path, what stands there and
 * what is allowed.
 */
import { Config as EffectConfig, type ConfigProvider, type Duration, Effect, Result, Schema } from "effect"
import type { TemplateFault } from "../template/TemplateFaults.ts"
import { type Fields, isFields } from "../template/TemplatePlaces.ts"
import { type ConfigError, type Finding, findings, fromFindings } from "./ConfigError.ts"
import { Config } from "./ConfigShape.ts"
import { isContainerSsh, translate } from "./ContainerSsh.ts"
import { PodConfig } from "./PodConfig.ts"
import { podRules, poolRules } from "./PodRules.ts"
import { PoolConfig } from "./PoolConfig.ts"

export { configJsonSchema } from "./ConfigJsonSchema.ts"
export * from "./ConfigShape.ts"
export * from "./ConnectionConfig.ts"
export { isContainerSsh } from "./ContainerSsh.ts"
export * from "./PodConfig.ts"
export * from "./PoolConfig.ts"
export * from "./TimeoutConfig.ts"

const strictly = { errors: "all", onExcessProperty: "error" } as const
const decode = Schema.decodeUnknownResult(Config, strictly)

/** The pod and the pool by themselves, without the rules between their keys. */
const barePod = Schema.decodeUnknownResult(Schema.Struct(PodConfig.fields))
const barePool = Schema.decodeUnknownResult(PoolConfig)

const ruled = ({ message, path }: TemplateFault): Finding => ({ path, message, whole: false })

const without = (fields: Fields, keys: ReadonlySet<string>): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([key]) => !keys.has(key)))

/**
 * What the rules say of the keys that are right by themselves, where some others are wrong: a schema asks its rules only
 * when all keys are right.
 */
const ruleFindings = (input: unknown, found: ReadonlyArray<Finding>): ReadonlyArray<Finding> => {
  if (!isFields(input)) return []
  const pod = input.pod ?? {}
  if (!isFields(pod)) return []
  const wrongIn = (section: string): ReadonlySet<string> =>
    new Set(found.flatMap(({ path: [first, key] }) => first === section && key !== undefined ? [String(key)] : []))
  const wrong = wrongIn("pod")
  const decoded = barePod(without(pod, wrong))
  if (Result.isFailure(decoded)) return []
  const given = input.pool ?? {}
  const pool = barePool(isFields(given) ? without(given, wrongIn("pool")) : given)
  const sound = (keys: ReadonlyArray<string>) => keys.every((key) => !wrong.has(key))
  return [
    ...podRules.filter(({ reads }) => sound(reads)).flatMap(({ faults }) =>
      faults(decoded.success).map((fault) => ruled({ ...fault, path: ["pod", ...fault.path] }))
    ),
    ...Result.isSuccess(pool) && sound(["mode", "podSpec", "claim"])
      ? poolRules.flatMap(({ faults }) => faults({ pod: decoded.success, pool: pool.success }).map(ruled))
      : []
  ]
}

/** A call's time limit may be given by either of two keys; from here on it is in one. */
const settled = (config: Config): Config => {
  const { connection, timeouts: { http } } = config
  return connection.timeout === undefined && http !== undefined
    ? { ...config, connection: { ...connection, timeout: http } }
    : config
}

/**
 * Decodes what a YAML or JSON file held: in our shape, or in ContainerSSH's (`ContainerSsh.ts`). All faults are reported
 * at once, with the paths of the file.
 */
export const decodeConfig = (input: unknown): Effect.Effect<Config, ConfigError> =>
  Effect.suspend(() => {
    const foreign = isContainerSsh(input) ? translate(input) : undefined
    const ours = foreign === undefined ? input : foreign.input
    const decoded = decode(ours)
    const refused = (foreign?.faults ?? []).map((fault): Finding => ({ ...fault, whole: true }))
    if (Result.isSuccess(decoded) && refused.length === 0) return Effect.succeed(settled(decoded.success))
    const found = Result.isSuccess(decoded) ? [] : findings(decoded.failure.issue)
    const all = [...found, ...ruleFindings(ours, found)].map((finding) =>
      foreign === undefined ? finding : { ...finding, path: foreign.origin(finding.path) }
    )
    return Effect.fail(fromFindings([...refused, ...all], input))
  })

/**
 * The configuration from Effect's `Config`, below `path`: any source of texts, such as variables of the environment.
 * `podSpec` may be JSON in one text there, or a tree like the others. The shape is ours.
 */
export const configFrom = (path?: string | ConfigProvider.Path): EffectConfig.Config<Config> =>
  EffectConfig.map(EffectConfig.schema(Config, path), settled)

/** How long a pod may take to become ready. */
export const startTimeout = (config: Config): Duration.Duration => config.timeouts.podStart ?? config.timeout

/** How long its deletion may take to be accepted. */
export const stopTimeout = (config: Config): Duration.Duration => config.timeouts.podStop ?? config.timeout
