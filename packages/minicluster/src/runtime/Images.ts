/** Images are names: which of them misbehave on purpose, and how. The table in README.md is the contract. */

export type ImageBehaviour =
  | { readonly _tag: "Ordinary" }
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Unauthorized" }
  | { readonly _tag: "Slow"; readonly millis: number }
  | { readonly _tag: "Exits"; readonly code: number }
  | { readonly _tag: "Busybox" }
  | { readonly _tag: "NoShell" }
  | { readonly _tag: "Unschedulable" }
  | { readonly _tag: "Quota" }
  | { readonly _tag: "Denied" }
  | { readonly _tag: "Rbac" }

/** `.test` can never be a real registry (RFC 6761), and so no real image is taken for one of these. */
const prefix = "kuberun.test/"

/** By the names behind the prefix. */
const behaviours: Readonly<Record<string, ImageBehaviour>> = {
  missing: { _tag: "Missing" },
  unauthorized: { _tag: "Unauthorized" },
  crash: { _tag: "Exits", code: 1 },
  "exit-0": { _tag: "Exits", code: 0 },
  busybox: { _tag: "Busybox" },
  noshell: { _tag: "NoShell" },
  unschedulable: { _tag: "Unschedulable" },
  quota: { _tag: "Quota" },
  denied: { _tag: "Denied" },
  rbac: { _tag: "Rbac" }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }

/** The repository without registry digests and tag: `kuberun.test/slow-5s:v1` is `kuberun.test/slow-5s`. */
const repositoryOf = (image: string): string => image.replace(/@.*$/, "").replace(/:[^/:]*$/, "")

export const imageBehaviour = (image: string): ImageBehaviour => {
  if (image.startsWith("registry.invalid/")) return { _tag: "Missing" }
  if (!image.startsWith(prefix)) return { _tag: "Ordinary" }
  const name = repositoryOf(image).slice(prefix.length)
  const slow = /^slow-(\d{1,6})(ms|s|m)$/.exec(name)
  if (slow !== null) return { _tag: "Slow", millis: Number(slow[1]) * (units[slow[2] ?? ""] ?? 0) }
  return (Object.hasOwn(behaviours, name) ? behaviours[name] : undefined) ?? { _tag: "Ordinary" }
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

/** What busybox has of its many names and is likely to be asked for. */
const applets =
  `arch ash awk base32 base64 basename bc bunzip2 busybox bzcat bzip2 cat chgrp chmod chown chroot cksum clear cmp comm cp
  cpio crc32 cut date dc dd df diff dirname dos2unix du echo ed egrep env expand expr factor fallocate false fgrep find
  flock fold free fsync fuser getopt grep groups gunzip gzip head hexdump hostid hostname id install ip kill killall less
  link ln logger login ls lsof lzcat md5sum microcom mkdir mkfifo mknod mktemp more mv nc netstat nice nl nohup nproc
  nslookup od paste patch pgrep pidof ping pkill printenv printf ps pwd readlink realpath renice reset rev rm rmdir
  route sed seq setsid sh sha1sum sha256sum sha512sum shred shuf sleep sort split stat strings stty su sum sync tac tail
  tar tee telnet test time timeout top touch tr traceroute tree true truncate tsort tty uname unexpand uniq unix2dos
  unlink unlzma unxz unzip uptime usleep vi watch wc wget which who whoami xargs xxd xz xzcat yes zcat [ [[`.split(
    /\s+/
  )

/** The only programs of an image that does not have all of the machine's. */
export const programsOf = (image: string): ReadonlyArray<string> | undefined => {
  const { _tag } = imageBehaviour(image)
  if (_tag === "Busybox") return applets
  return _tag === "NoShell" ? applets.filter((name) => !shells.has(name)) : undefined
}

/** Whether the image has the program, as far as its name tells. A path that is nobody's program is the container's own. */
export const imageHas = (image: string, program: string): boolean => {
  const name = program.slice(program.lastIndexOf("/") + 1)
  const { _tag } = imageBehaviour(image)
  if (_tag === "NoShell") return !shells.has(name)
  return _tag !== "Busybox" || applets.includes(name) || (program.includes("/") && !isMachineFolder(program))
}

const isMachineFolder = (program: string): boolean => /^\/(usr\/(local\/)?)?s?bin\/|^\/usr\/lib/.test(program)
