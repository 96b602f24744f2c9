/** Images are names: which of them misbehave on purpose, and how. The table in README.md is the contract. */

export type ImageBehaviour =
  | { readonly _tag: "Ordinary" }
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Unauthorized" }
  | { readonly _tag: "Slow"; readonly millis: number }
  | { readonly _tag: "Exits"; readonly code: number }
  | { readonly _tag: "NoShell" }
  | { readonly _tag: "Unschedulable" }
  | { readonly _tag: "Quota" }
  | { readonly _tag: "Denied" }
  | { readonly _tag: "Rbac" }

/** `.test` can never be a real registry (RFC 6761), and so no real image is taken for one of these. */
const prefix = "kuberun.test/"

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }

/** The repository without registry digests and tag: `kuberun.test/slow-5s:v1` is `kuberun.test/slow-5s`. */
const repositoryOf = (image: string): string => image.replace(/@.*$/, "").replace(/:[^/:]*$/, "")

export const imageBehaviour = (image: string): ImageBehaviour => {
  if (image.startsWith("registry.invalid/")) return { _tag: "Missing" }
  if (!image.startsWith(prefix)) return { _tag: "Ordinary" }
  const name = repositoryOf(image).slice(prefix.length)
  const slow = /^slow-(\d{1,6})(ms|s|m)$/.exec(name)
  if (slow !== null) return { _tag: "Slow", millis: Number(slow[1]) * (units[slow[2] ?? ""] ?? 0) }
  switch (name) {
    case "missing":
      return { _tag: "Missing" }
    case "unauthorized":
      return { _tag: "Unauthorized" }
    case "crash":
      return { _tag: "Exits", code: 1 }
    case "exit-0":
      return { _tag: "Exits", code: 0 }
    case "noshell":
      return { _tag: "NoShell" }
    case "unschedulable":
      return { _tag: "Unschedulable" }
    case "quota":
      return { _tag: "Quota" }
    case "denied":
      return { _tag: "Denied" }
    case "rbac":
      return { _tag: "Rbac" }
    default:
      return { _tag: "Ordinary" }
  }
}

/** What containerd says when a pull fails, as the kubelet passes it on; `undefined` for a pull that succeeds. */
export const pullError = (image: string): string | undefined => {
  const behaviour = imageBehaviour(image)
  const repository = repositoryOf(image)
  const reference = repository === image ? `${image}:latest` : image
  const resolving = `failed to pull and unpack image "${reference}": failed to resolve reference "${reference}"`
  switch (behaviour._tag) {
    case "Missing":
      return `rpc error: code = NotFound desc = ${resolving}: ${reference}: not found`
    case "Unauthorized":
      return `rpc error: code = Unknown desc = ${resolving}: pull access denied, repository does not exist or may require authorization: authorization failed: unexpected status: 401 Unauthorized`
    default:
      return undefined
  }
}

/** The programs that an image without a shell does not have. */
const shells = new Set(["sh", "bash", "dash", "ash", "ksh", "zsh", "fish", "busybox"])

/** Whether the image has the program, as far as its name tells. */
export const imageHas = (image: string, program: string): boolean =>
  imageBehaviour(image)._tag !== "NoShell" || !shells.has(program.slice(program.lastIndexOf("/") + 1))
