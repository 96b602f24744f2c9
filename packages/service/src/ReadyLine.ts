/**
 * The two lines that `kuberun dev` prints: what to paste into another terminal. Pure.
 */
import { kubectl, type KubectlTarget } from "./Kubectl.ts"
import { type ListenAddress, reachableHost } from "./ListenAddress.ts"
import { shellWord } from "./ShellWord.ts"

/** How the reader of the line logs in. */
export type Login =
  /** With the key that the state folder holds. */
  | { readonly _tag: "ClientKey"; readonly path: string }
  /** With a key of their own, which `ssh` finds by itself, or with a password, which it asks for. */
  | { readonly _tag: "Own" }

/** The name in the line. In dev mode every name is welcome. */
export const demoUser = "demo"

/** The path as one types it in `workingFolder`: relative where the file is inside. Both are absolute. */
export const typedPath = (workingFolder: string, path: string): string => {
  const inside = workingFolder.endsWith("/") ? workingFolder : `${workingFolder}/`
  return path.startsWith(inside) && path.length > inside.length ? path.slice(inside.length) : path
}

/** `ready: ssh -i .kuberun/client_key -p 2222 demo@127.0.0.1` */
export const readyLine = (address: ListenAddress, login: Login): string => {
  const key = login._tag === "ClientKey" ? `-i ${shellWord(login.path)} ` : ""
  return `ready: ssh ${key}-p ${address.port} ${demoUser}@${shellWord(reachableHost(address.host))}`
}

/** `kubectl: KUBECONFIG=.kuberun/kubeconfig kubectl get pods -w` */
export const kubectlLine = (target: KubectlTarget): string => `kubectl: ${kubectl(target, "get pods -w")}`
