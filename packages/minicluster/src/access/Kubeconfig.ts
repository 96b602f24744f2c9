/** The kubeconfig that leads kubectl, and every other client, to the cluster. */
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { type Certificates } from "./Certificates.ts"

const base64 = (text: string): string => Buffer.from(text).toString("base64")

/** What a user is known by: a bearer token, or PEM texts. */
const credentials = ({ certificate, privateKey, token }: KubeconfigOptions["user"]): ReadonlyArray<string> => [
  ...(token === undefined ? [] : [`token: ${token}`]),
  ...(certificate === undefined ? [] : [`client-certificate-data: ${base64(certificate)}`]),
  ...(privateKey === undefined ? [] : [`client-key-data: ${base64(privateKey)}`])
]

export interface KubeconfigOptions {
  readonly url: string
  /** PEM */
  readonly authority: string
  readonly user: {
    readonly name: string
    readonly token?: string
    readonly certificate?: string
    readonly privateKey?: string
  }
  /** "default" by default. */
  readonly namespace?: string | undefined
}

/** YAML text: one cluster, one user, one context named "minicluster". Names are in quotes as JSON, which is YAML. */
export const kubeconfig = ({ authority, namespace = "default", url, user }: KubeconfigOptions): string =>
  `apiVersion: v1
kind: Config
clusters:
- name: minicluster
  cluster:
    server: ${url}
    certificate-authority-data: ${base64(authority)}
contexts:
- name: minicluster
  context:
    cluster: minicluster
    namespace: ${JSON.stringify(namespace)}
    user: ${JSON.stringify(user.name)}
current-context: minicluster
users:
- name: ${JSON.stringify(user.name)}
  user:
${credentials(user).map((line) => `    ${line}\n`).join("")}`

/** The kubeconfig of a user of the given groups, who is known by a certificate that is made here. */
export const certificateKubeconfig = (
  { certificates, groups = [], user, ...rest }: Pick<KubeconfigOptions, "url" | "namespace"> & {
    readonly certificates: Pick<Certificates, "authority" | "issueClient">
    readonly user: string
    readonly groups?: ReadonlyArray<string> | undefined
  }
): Effect.Effect<string> =>
  Effect.map(
    certificates.issueClient(user, groups),
    (issued) => kubeconfig({ ...rest, authority: certificates.authority, user: { name: user, ...issued } })
  )
