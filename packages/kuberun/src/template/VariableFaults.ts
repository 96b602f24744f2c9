/**
 * Variables that hold a user's text, and places where Kubernetes would put it that are no places for it. Pure.
 *
 * Kubernetes replaces `$(NAME)` in `command`, `args` and `subPathExpr` by the variable's value, as it is. As an argument of
 * its own that does no harm; in a script it would be read as a part of the script, and in a path as several segments.
 */
import type { PodSpec } from "../ports/Pod.ts"
import { hasPlaceholder } from "./Placeholders.ts"
import type { TemplateFault } from "./TemplateFaults.ts"
import { type ConfigPath, type Fields, isFields } from "./TemplatePlaces.ts"

/** The variables that a text refers to (`third_party/forked/golang/expansion`: `$$` is a `$`). */
const references = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/\$\$|\$\(([^)]*)\)/g)].flatMap(([, name]) => name ?? [])

const listOf = (parent: Fields, key: string): ReadonlyArray<unknown> => {
  const list = parent[key]
  return Array.isArray(list) ? list : []
}

/** Variables with a placeholder, and those after them that refer to one. */
const userVariables = (container: Fields): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const variable of listOf(container, "env")) {
    if (!isFields(variable) || typeof variable.name !== "string" || typeof variable.value !== "string") continue
    if (hasPlaceholder(variable.value) || references(variable.value).some((name) => names.has(name))) {
      names.add(variable.name)
    }
  }
  return names
}

/** An option with which shells, and some other interpreters, take the next word for a script. */
const scriptOption = /^-[A-Za-z]*c$/

interface Word {
  readonly text: string
  readonly path: ConfigPath
}

const wordsOf = (list: unknown, path: ConfigPath): ReadonlyArray<Word> =>
  Array.isArray(list)
    ? list.flatMap((text: unknown, index) => typeof text === "string" ? [{ text, path: [...path, index] }] : [])
    : []

const scriptFaults = (words: ReadonlyArray<Word>, variables: ReadonlySet<string>): ReadonlyArray<TemplateFault> =>
  words.flatMap(({ path, text }, index) => {
    const name = references(text).find((reference) => variables.has(reference))
    return name !== undefined && scriptOption.test(words[index - 1]?.text ?? "")
      ? [{
        path,
        message: `$(${name}) would put a user's text into a script; use the shell's own "$${name}" in quotes`
      }]
      : []
  })

const containerFaults = (container: Fields, path: ConfigPath): ReadonlyArray<TemplateFault> => {
  const variables = userVariables(container)
  const paths = listOf(container, "volumeMounts").flatMap((mount, index) =>
    isFields(mount) && typeof mount.subPathExpr === "string" &&
      references(mount.subPathExpr).some((name) => variables.has(name))
      ? [{
        path: [...path, "volumeMounts", index, "subPathExpr"],
        message:
          "a variable with a placeholder may not stand here, where it could be several segments; use subPath with the placeholder"
      }]
      : []
  )
  const command = [...wordsOf(container.command, [...path, "command"]), ...wordsOf(container.args, [...path, "args"])]
  return [...paths, ...scriptFaults(command, variables)]
}

/** Faults of all containers, and of the command that the console container gets. */
export const variableFaults = (
  { idleCommand, podSpec }: { readonly podSpec: PodSpec; readonly idleCommand: ReadonlyArray<string> }
): ReadonlyArray<TemplateFault> => {
  const all = new Set<string>()
  const faults = ["containers", "initContainers"].flatMap((key) =>
    listOf(podSpec, key).flatMap((container, index) => {
      if (!isFields(container)) return []
      for (const name of userVariables(container)) all.add(name)
      return containerFaults(container, ["podSpec", key, index])
    })
  )
  return [...faults, ...scriptFaults(wordsOf(idleCommand, ["idleCommand"]), all)]
}
