/**
 * Where the API server is and how to identify oneself to it: what a user can say, before any of it is looked at.
 */
import type { Duration, Redacted } from "effect"

/**
 * The connection in the words of kuberun v0.9.3's configuration. An empty text means "not set". Structural, so that
 * the library's own `ConnectionConfig` fits.
 */
export interface ConnectionSettings {
  /** A host, `host:port`, an IPv6 address, or a URL. Without a scheme it is `https`. */
  readonly host: string
  /** Where the API is served, `/api` by default: what stands before `/api` is a prefix to every request's path. */
  readonly path: string
  readonly username: string
  readonly password: Redacted.Redacted<string>
  /** Do not verify the server's certificate. */
  readonly insecure: boolean
  /** The name to ask for (SNI) and to find in the server's certificate. */
  readonly serverName: string
  readonly certFile: string
  readonly keyFile: string
  readonly cacertFile: string
  /** PEM text, as are `key` and `cacert`. Inline text wins over a file. */
  readonly cert: string
  readonly key: Redacted.Redacted<string>
  readonly cacert: string
  readonly bearerToken: Redacted.Redacted<string>
  /** Read for every call, so that a rotated token is used at once. Wins over `bearerToken`, as in client-go. */
  readonly bearerTokenFile: string
  /** Calls a second, after a burst of `burst`. Zero or less: no limit. */
  readonly qps: number
  readonly burst: number
  /** Time limit of one call. */
  readonly timeout?: Duration.Duration | undefined
}

/** Which cluster to use, and as whom. */
export type ClusterSource =
  /** A kubeconfig's text. Relative paths in it are relative to the working directory. */
  | {
    readonly _tag: "Kubeconfig"
    readonly text: Redacted.Redacted<string>
    readonly context?: string | undefined
  }
  /**
   * A kubeconfig file. Without a path: the files of `$KUBECONFIG`, else `~/.kube/config`, else the service account of
   * the pod that this process runs in.
   */
  | {
    readonly _tag: "KubeconfigFile"
    readonly path?: string | undefined
    readonly context?: string | undefined
  }
  /**
   * The service account of the pod that this process runs in: the address in `KUBERNETES_SERVICE_HOST` and `_PORT`, token
   * and authority in `/var/run/secrets/kubernetes.io/serviceaccount`, below `root` where there is one.
   */
  | { readonly _tag: "ServiceAccount"; readonly root?: string | undefined }
  | { readonly _tag: "Connection"; readonly connection: ConnectionSettings }
