/**
 * The first process of a container that runs a session's program: a small `sh` that waits until its streams are there.
 * Pure.
 *
 * Kubernetes starts a container before anybody can be attached to it: what a program wrote meanwhile would be lost. So
 * the shell waits for one line on its stdin. When that has come it says so on stdout, in a marker that is not passed
 * on, and runs the program. It stays the container's first process, because a program in that place would get no signal
 * that it does not handle (signal(7)).
 *
 * The marker names the shell's process, and the program's signals go to its session. Never to "everybody", -1: in a pod
 * whose containers share their processes, or have the node's, that is not the program.
 */
import { type Effect, Stream } from "effect"
import { type Output, stdout } from "../ports/Output.ts"
import type { Leader } from "../session/Announcement.ts"
import type { ProgramLaunch } from "../session/Launch.ts"
import { leaderCommand, lookScript } from "../session/ProcessTree.ts"
import { shell, withPrologue } from "../session/ProgramPrologue.ts"

/** An operating system command (ECMA-48 OSC) that means nothing to any terminal; then the process id and start time. */
const markerBegin = "\u001b]kuberun;go;"
const markerPattern = /^([1-9][0-9]{0,9});([0-9]{0,20})\u0007/
/** The longest that may stand behind the beginning. */
const longestFields = 32

/**
 * `stty` keeps a terminal from echoing the line; the program's own settings come after. A shell says on its stderr which
 * signal ended a program ("Killed"), as no sshd does: what the shell says goes nowhere, what the program says passes.
 */
const waiting = [
  "fields() { shift 19; started=$1; }",
  "[ ! -t 0 ] || stty -echo 2>/dev/null",
  "IFS= read -r line || exit 0",
  "[ ! -t 0 ] || stty echo 2>/dev/null",
  "stat= started=",
  "{ read -r stat </proc/self/stat; } 2>/dev/null",
  "[ -z \"$stat\" ] || fields ${stat##*) }",
  "printf '\\033]kuberun;go;%s;%s\\007' $$ \"$started\"",
  "trap : HUP INT QUIT TERM",
  "exec 3>&2",
  "[ ! -w /dev/null ] || exec 2>/dev/null",
  "(exec \"$@\" 2>&3 3>&-)",
  "exit $?"
].join("\n")

/** The container's command. */
export const waitingCommand = (program: ProgramLaunch): ProgramLaunch["command"] => [
  shell,
  "-c",
  waiting,
  "sh",
  ...withPrologue(program)
]

/** What the shell waits for. */
export const goLine = new TextEncoder().encode("\n")

/**
 * To all processes of the shell's session but itself, which runs a program in a group with itself. 0 where one of them
 * got it.
 */
const signalScript = `${lookScript}
same && [ "$session" = "$leader" ] || exit 1
signal=$3 got=1
set +f
set -- /proc/[0-9]*
set -f
for process; do
process=\${process#/proc/}
[ "$process" != "$leader" ] && [ "$process" != $$ ] && look "$process" && [ "$session" = "$leader" ] || continue
kill -s "$signal" "$process" 2>/dev/null && got=0
done
exit $got`

/** Signals what runs under the shell. */
export const signalCommand = (leader: Leader, name: string): ReadonlyArray<string> =>
  leaderCommand(signalScript, leader, name)

/** A character for each byte. */
const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

const joined = (one: Uint8Array, other: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(one.length + other.length)
  bytes.set(one)
  bytes.set(other, one.length)
  return bytes
}

/**
 * Output from the marker on, of which `found` is told. What a terminal may have echoed before it is dropped; what stands
 * on stderr, which only the runtime can have written by then, is not.
 */
export const afterMarker = <E>(
  output: Stream.Stream<Output, E>,
  found: (leader: Leader) => Effect.Effect<void>
): Stream.Stream<Output, E> =>
  Stream.suspend(() => {
    let held: Uint8Array | undefined = new Uint8Array(0)
    return Stream.flatMap(output, (piece) => {
      if (held === undefined || piece._tag === "Stderr") return Stream.make(piece)
      const bytes = joined(held, piece.bytes)
      const text = latin1(bytes)
      for (let begin = text.indexOf(markerBegin); begin >= 0; begin = text.indexOf(markerBegin, begin + 1)) {
        const fields = begin + markerBegin.length
        const [marker, pid, started] = markerPattern.exec(text.slice(fields, fields + longestFields)) ?? []
        if (marker === undefined) continue
        held = undefined
        const leader: Leader = { pid: Number(pid), started: started === "" ? undefined : started }
        const rest = bytes.subarray(fields + marker.length)
        const passed = rest.length === 0 ? Stream.empty : Stream.make(stdout(rest))
        return Stream.concat(Stream.drain(Stream.fromEffect(found(leader))), passed)
      }
      held = bytes.slice(-(markerBegin.length + longestFields))
      return Stream.empty
    })
  })
