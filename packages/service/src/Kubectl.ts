/**
 * kubectl commands for the person who runs the service. Pure.
 */
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

/** As many names as one may want to paste. The others show when these are gone: the log has them all. */
const mostNames = 20

/** How to delete pods that the service left, by their names: other replicas' pods carry the same labels. */
export const deletionAdvice = (target: KubectlTarget) => (names: ReadonlyArray<string>): string => {
  const words = names.slice(0, mostNames).map(shellWord).join(" ")
  const others = names.length > mostNames ? ` (${mostNames} of ${names.length}; the log names all)` : ""
  return `Delete them with: ${kubectl(target, `delete pods ${words}`)}${others}`
}
