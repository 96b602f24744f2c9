/** The kubeconfig that leads kubectl, and every other client, to the cluster. */
import { Buffer } from "node:buffer"

/** YAML text: one cluster, one admin user with a bearer token, one context named "minicluster". */
export const kubeconfig = (options: {
  readonly url: string
  readonly authority: string
  readonly token: string
}): string =>
  `apiVersion: v1
kind: Config
clusters:
- name: minicluster
  cluster:
    server: ${options.url}
    certificate-authority-data: ${Buffer.from(options.authority).toString("base64")}
contexts:
- name: minicluster
  context:
    cluster: minicluster
    namespace: default
    user: admin
current-context: minicluster
users:
- name: admin
  user:
    token: ${options.token}
`
