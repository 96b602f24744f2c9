/**
 * Reads a kubeconfig by client-node and makes sure that it can be used: a context that exists, with a cluster and a
 * user that exist. Every failure is one sentence that says which file, which context, and what is allowed.
 */
import type { Context, KubeConfig, User } from "@kubernetes/client-node"
import { Effect, Redacted, Result } from "effect"
import * as Yaml from "effect/encoding/Yaml"
import { type ClusterError, Misconfigured } from "kuberun"
import { readFileSync } from "node:fs"
import { delimiter, dirname, resolve } from "node:path"
import { failed, isRecord, messageOf } from "./ApiFault.ts"
import { rewritten } from "./Authenticators.ts"
import type { ClusterSource } from "./ClusterSource.ts"
import { clusterAndUser, tokenFileProvider } from "./ConnectionSource.ts"

/** Loads client-node. Not before it is needed: it costs half a second and 90 MB. */
export const loadClientNode = Effect.tryPromise({
  try: () => import("@kubernetes/client-node"),
  catch: (error) => misconfigured(`the Kubernetes client cannot be loaded: ${messageOf(error)}`)
})

const misconfigured = (detail: string): ClusterError =>
  failed("read the cluster's configuration")(new Misconfigured({ detail }))

/** What a kubeconfig is called in a sentence. */
const nameOf = (source: ClusterSource): string => {
  switch (source._tag) {
    case "Kubeconfig":
      return "the kubeconfig"
    case "Connection":
      return "the connection"
    case "ServiceAccount":
      return "the service account"
    case "KubeconfigFile":
      return source.path !== undefined
        ? `the kubeconfig ${source.path}`
        : process.env["KUBECONFIG"]
        ? `the kubeconfig ${process.env["KUBECONFIG"]} (from KUBECONFIG)`
        : "the default kubeconfig"
  }
}

/**
 * What made client-node's reader throw, in words. The YAML reader's message goes on with the lines around the fault,
 * which may hold a secret: only its first line is told.
 */
const readingError = (error: unknown): string => {
  if (isRecord(error) && error["code"] === "ENOENT") return "it does not exist"
  if (isRecord(error) && error["code"] === "EACCES") return "it may not be read (permission denied)"
  if (isRecord(error) && error["code"] === "EISDIR") return "it is a directory"
  return error instanceof TypeError
    ? "it is not a kubeconfig (a YAML mapping with clusters, users and contexts)"
    : messageOf(error)
}

/**
 * The users' `tokenFile`, a standard key that client-node does not read. Only looked for: client-node has read the
 * text before and told what is wrong with it.
 */
const tokenFiles = (text: string, directory: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  const parsed = Result.try(() => Yaml.parse(text))
  const users = Result.isSuccess(parsed) && isRecord(parsed.success) ? parsed.success["users"] : undefined
  for (const entry of Array.isArray(users) ? users : []) {
    if (!isRecord(entry) || !isRecord(entry["user"])) continue
    const path = entry["user"]["tokenFile"]
    if (typeof path === "string" && path !== "") found.set(String(entry["name"]), resolve(directory, path))
  }
  return found
}

const withTokenFiles = (config: KubeConfig, files: ReadonlyMap<string, string>): void => {
  config.users = config.users.map((user): User => {
    const path = files.get(user.name)
    if (path === undefined) return user
    const { token: _, ...others } = user
    return { ...others, authProvider: tokenFileProvider(path) }
  })
}

/** The users of one file, whose relative paths are relative to it. */
const withAuthenticators = (config: KubeConfig, directory: string): void => {
  config.users = config.users.map((user) => rewritten(user, directory))
  // Inline text wins over a file, as in client-go.
  config.clusters = config.clusters.map((cluster) => cluster.caData ? { ...cluster, caFile: "" } : cluster)
}

const quoted = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "none" : names.map((name) => `"${name}"`).join(", ")

/** Selects the context; the sentence says what is wrong with it, if anything is. */
const selectContext = (config: KubeConfig, name: string, context: string | undefined): string | undefined => {
  const wanted = context ?? config.currentContext
  const contexts = config.contexts.map((each) => each.name)
  if (wanted === undefined || wanted === "") {
    return `${name} has no current-context; name one of its contexts: ${quoted(contexts)}`
  }
  const found = config.contexts.find((each) => each.name === wanted)
  if (found === undefined) return `${name} has no context "${wanted}"; its contexts are: ${quoted(contexts)}`
  const cluster = config.clusters.find((each) => each.name === found.cluster)
  if (cluster === undefined) {
    return `in ${name}, the context "${wanted}" names the cluster "${found.cluster}", which is not defined; ` +
      `its clusters are: ${quoted(config.clusters.map((each) => each.name))}`
  }
  if (!URL.canParse(cluster.server)) {
    // What stands before an @ may be a password.
    const server = cluster.server.includes("@") ? "a server" : `the server "${cluster.server}"`
    return `in ${name}, the cluster "${cluster.name}" has ${server}, which is not a URL`
  }
  if (cluster.server.startsWith("http:") && !cluster.skipTLSVerify) {
    return `in ${name}, the cluster "${cluster.name}" is served over plain http, which is only accepted together with ` +
      "insecure-skip-tls-verify: true"
  }
  if (found.user && !config.users.some((each) => each.name === found.user)) {
    return `in ${name}, the context "${wanted}" names the user "${found.user}", which is not defined; ` +
      `its users are: ${quoted(config.users.map((each) => each.name))}`
  }
  config.setCurrentContext(wanted)
  if (!found.user) addAnonymousUser(config, found)
  return undefined
}

/** Without a user, client-node forgets the cluster's certificate authority and `insecure-skip-tls-verify`. */
const addAnonymousUser = (config: KubeConfig, context: Context): void => {
  const user = "kuberun:anonymous"
  config.users = [...config.users, { name: user }]
  config.contexts = config.contexts.map((each) => each.name === context.name ? { ...each, user } : each)
}

/** The files that client-node's default order reads, the service account's not counted. */
const defaultFiles = (home: string | null): ReadonlyArray<string> => {
  const listed = process.env["KUBECONFIG"]
  if (listed) return listed.split(delimiter).filter((path) => path !== "")
  return home === null ? [] : [resolve(home, ".kube", "config")]
}

const tokenFilesOf = (path: string): ReadonlyMap<string, string> => {
  const text = Result.try(() => readFileSync(path, "utf8"))
  return Result.isSuccess(text) ? tokenFiles(text.success, dirname(path)) : new Map()
}

/** Where client-node ends up when it finds nothing at all. */
const NOTHING_FOUND = "http://localhost:8080"

/** Reads what the source names. The answer's current context is the one to use, and complete. */
export const loadKubeConfig = Effect.fn("KubeConfigFile.load")(function*(source: ClusterSource) {
  const clientNode = yield* loadClientNode
  const config = new clientNode.KubeConfig()
  const name = nameOf(source)
  if (source._tag === "Connection") {
    const made = clusterAndUser(source.connection)
    if (Result.isFailure(made)) return yield* misconfigured(made.failure)
    config.loadFromClusterAndUser(made.success.cluster, made.success.user)
    return config
  }
  if (source._tag === "ServiceAccount" && !process.env["KUBERNETES_SERVICE_HOST"]) {
    return yield* misconfigured("KUBERNETES_SERVICE_HOST is not set: this is not a pod with a service account")
  }
  yield* Effect.try({
    try: () => {
      if (source._tag === "ServiceAccount") {
        config.loadFromCluster(source.root)
        withAuthenticators(config, process.cwd())
      } else if (source._tag === "Kubeconfig") {
        const text = Redacted.value(source.text)
        config.loadFromString(text)
        withTokenFiles(config, tokenFiles(text, process.cwd()))
        withAuthenticators(config, process.cwd())
      } else if (source.path !== undefined) {
        config.loadFromFile(source.path)
        withTokenFiles(config, tokenFilesOf(source.path))
        withAuthenticators(config, dirname(resolve(source.path)))
      } else {
        config.loadFromDefault()
        const files = defaultFiles(clientNode.findHomeDir())
        for (const path of files) withTokenFiles(config, tokenFilesOf(path))
        withAuthenticators(config, dirname(resolve(files[0] ?? "")))
      }
    },
    catch: (error) => misconfigured(`${name} cannot be read: ${readingError(error)}`)
  })
  if (source._tag === "KubeconfigFile" && source.path === undefined && config.clusters[0]?.server === NOTHING_FOUND) {
    return yield* misconfigured(
      "no kubeconfig was found: KUBECONFIG is not set, ~/.kube/config does not exist, and this is not a pod with a " +
        "service account; name a kubeconfig file"
    )
  }
  const fault = selectContext(config, name, "context" in source ? source.context : undefined)
  return fault === undefined ? config : yield* misconfigured(fault)
})
