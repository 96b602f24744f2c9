/**
 * kubectl commands for the person who runs the service. Pure.
 */
import { managedBy } from "kuberun"
import { shellWord } from "./ShellWord.ts"

/** Which cluster and namespace kubectl is to look at. Without a kubeconfig it is the one that it finds by itself. */
export interface KubectlTarget {
  readonly kubeconfig?: string | undefined
  readonly context?: string | undefined
  readonly namespace: string
}

/** The command with these last words, ready to be pasted. */
export const kubectl = ({ context, kubeconfig, namespace }: KubectlTarget, words: string): string =>
  [
    ...kubeconfig === undefined ? [] : [`KUBECONFIG=${shellWord(kubeconfig)}`],
    "kubectl",
    ...context === undefined ? [] : [`--context ${shellWord(context)}`],
    ...namespace === "default" ? [] : [`-n ${shellWord(namespace)}`],
    words
  ].join(" ")

/** How to delete pods that the service left. */
export const deletionAdvice = (target: KubectlTarget): string =>
  `Delete them with: ${kubectl(target, `delete pods -l ${managedBy.key}=${managedBy.value}`)}`
