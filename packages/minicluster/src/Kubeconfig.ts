/** The kubeconfig that leads kubectl, and every other client, to the cluster. */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { type ClientCertificates } from "./Certificates.ts"

export interface KubeconfigUser {
  readonly name: string
  readonly token?: string
  /** PEM, with its `privateKey`. */
  readonly certificate?: string
  readonly privateKey?: string
}

/** A YAML text in quotes, which all names are, because JSON is YAML. */
const quoted = (text: string): string => JSON.stringify(text)
const base64 = (text: string): string => Buffer.from(text).toString("base64")

const credentials = ({ certificate, privateKey, token }: KubeconfigUser): string =>
  [
    ...(token === undefined ? [] : [`token: ${token}`]),
    ...(certificate === undefined ? [] : [`client-certificate-data: ${base64(certificate)}`]),
    ...(privateKey === undefined ? [] : [`client-key-data: ${base64(privateKey)}`])
  ].map((line) => `    ${line}\n`).join("")

/** YAML text: one cluster, one user, one context named "minicluster" in a namespace, "default" unless told. */
export const kubeconfig = (options: {
  readonly url: string
  /** PEM */
  readonly authority: string
  readonly user: KubeconfigUser
  readonly namespace?: string | undefined
}): string =>
  `apiVersion: v1
kind: Config
clusters:
- name: minicluster
  cluster:
    server: ${options.url}
    certificate-authority-data: ${base64(options.authority)}
contexts:
- name: minicluster
  context:
    cluster: minicluster
    namespace: ${quoted(options.namespace ?? "default")}
    user: ${quoted(options.user.name)}
current-context: minicluster
users:
- name: ${quoted(options.user.name)}
  user:
${credentials(options.user)}`

/** The kubeconfig of a user of the given groups, which is known by a certificate that is made for it here. */
export const certificateKubeconfig = (options: {
  readonly url: string
  readonly certificates: ClientCertificates
  readonly user: string
  readonly groups?: ReadonlyArray<string> | undefined
  readonly namespace?: string | undefined
}): Effect.Effect<string> => {
  const { certificates, groups = [], namespace, url, user } = options
  return Effect.map(
    certificates.issueClient(user, groups),
    (issued) => kubeconfig({ url, authority: certificates.authority, user: { name: user, ...issued }, namespace })
  )
}
