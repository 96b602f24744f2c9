/**
 * Credentials that a program prints (`users[].user.exec` of a kubeconfig; Kubernetes' page "Authenticating", section
 * "client-go credential plugins", and `client.authentication.k8s.io/v1`).
 *
 * Not client-node's: that tells the program nothing (`KUBERNETES_EXEC_INFO`), leaves one that hangs behind, uses a
 * credential for ever that the API server has refused, and repeats what was printed, secrets too, when it cannot be read.
 */
import type { Cluster } from "@kubernetes/client-node"
import { execFile } from "node:child_process"
import { resolve } from "node:path"
import { isRecord, parseJson } from "./ApiFault.ts"

/** Marks a user whose credentials a program prints; the name in its authentication provider. */
export const PLUGIN = "kuberun-credential-plugin"

/** What a program printed. Certificate and key are PEM texts; `expires` is in Unix milliseconds. */
export interface Credential {
  readonly token?: string
  readonly cert?: string
  readonly key?: string
  readonly expires?: number
}

/** A credential is not used in its last seconds: it would run out on the way. */
export const EXPIRY_MARGIN_MILLIS = 10_000

/** The longest output that is read; a credential is a few KiB. */
const OUTPUT_LIMIT_BYTES = 1024 * 1024

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined

/** `ExecCredential` as the program is told of its cluster, where the kubeconfig asks for that. */
export const execInfo = (exec: Readonly<Record<string, unknown>>, cluster: Cluster | null, caData?: string) => ({
  apiVersion: exec["apiVersion"],
  kind: "ExecCredential",
  spec: {
    interactive: false,
    ...(exec["provideClusterInfo"] === true && cluster !== null
      ? {
        cluster: {
          server: cluster.server,
          ...(cluster.tlsServerName ? { "tls-server-name": cluster.tlsServerName } : {}),
          ...(cluster.skipTLSVerify ? { "insecure-skip-tls-verify": true } : {}),
          ...(caData === undefined ? {} : { "certificate-authority-data": caData }),
          ...(cluster.proxyUrl ? { "proxy-url": cluster.proxyUrl } : {})
        }
      }
      : {})
  }
})

/** Reads what the program printed; the error never repeats it. */
export const readCredential = (printed: string, apiVersion: unknown): Credential => {
  const value = parseJson(printed)
  if (!isRecord(value)) throw new Error("the credential plugin did not print JSON")
  if (value["apiVersion"] !== undefined && value["apiVersion"] !== apiVersion) {
    throw new Error(
      `the credential plugin answered in ${JSON.stringify(value["apiVersion"])}, the kubeconfig asks for ${
        JSON.stringify(apiVersion)
      }`
    )
  }
  const status = isRecord(value["status"]) ? value["status"] : {}
  const token = text(status["token"])
  const cert = text(status["clientCertificateData"])
  const key = text(status["clientKeyData"])
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error(
      "the credential plugin printed a client certificate without its key, or a key without its certificate"
    )
  }
  if (token === undefined && cert === undefined) {
    throw new Error("the credential plugin printed neither a token nor a client certificate")
  }
  const expires = Date.parse(text(status["expirationTimestamp"]) ?? "")
  return {
    ...(token === undefined ? {} : { token }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(Number.isNaN(expires) ? {} : { expires })
  }
}

/** A command with a slash is a path, relative to the kubeconfig; another is looked for in `PATH`. */
const commandOf = (command: string, directory: string): string =>
  command.includes("/") ? resolve(directory, command) : command

const variables = (env: unknown): Record<string, string> => {
  const found: Record<string, string> = {}
  for (const entry of Array.isArray(env) ? env : []) {
    const name = isRecord(entry) ? text(entry["name"]) : undefined
    if (isRecord(entry) && name !== undefined) found[name] = text(entry["value"]) ?? ""
  }
  return found
}

/** Runs the program once. When the signal aborts, it is killed. */
export const run = (
  exec: Readonly<Record<string, unknown>>,
  directory: string,
  info: unknown,
  signal: AbortSignal
): Promise<Credential> => {
  const command = text(exec["command"])
  if (command === undefined) throw new Error("the kubeconfig's credential plugin has no command")
  if (exec["interactiveMode"] === "Always") {
    throw new Error(`the credential plugin ${command} wants a person at a terminal (interactiveMode: Always)`)
  }
  const hint = text(exec["installHint"])
  return new Promise((done, fail) => {
    const child = execFile(commandOf(command, directory), Array.isArray(exec["args"]) ? exec["args"].map(String) : [], {
      env: { ...process.env, ...variables(exec["env"]), KUBERNETES_EXEC_INFO: JSON.stringify(info) },
      maxBuffer: OUTPUT_LIMIT_BYTES,
      killSignal: "SIGKILL",
      signal
    }, (error, stdout, stderr) => {
      if (error === null) {
        try {
          return done(readCredential(stdout, exec["apiVersion"]))
        } catch (unreadable) {
          return fail(unreadable)
        }
      }
      if (error.code === "ENOENT") {
        return fail(new Error(`the credential plugin ${command} is not there${hint === undefined ? "" : `: ${hint}`}`))
      }
      const said = stderr.trim()
      fail(new Error(said === "" ? `the credential plugin ${command} failed (exit status ${error.code})` : said))
    })
    // One that reads nothing of it may have ended already.
    child.stdin?.on("error", () => undefined)
    child.stdin?.end()
  })
}
