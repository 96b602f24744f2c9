/**
 * The processes of a program in a pod: signalled, interrupted and ended by a second exec, with nothing but `sh` and
 * `/proc` in the image and nothing written to its disk. Pure.
 *
 * Container runtimes make an exec'd process the leader of a session and of a process group of its own (runc, crun), so
 * that both are named by its id. The kernel's own list of processes (proc_pid_stat(5)) says who belongs to it. Every
 * script asks for the leader's start time before it believes in its id: after the leader's end the id may come to be
 * another's.
 */
import type { Leader } from "./Announcement.ts"
import { shell } from "./ProgramPrologue.ts"

/**
 * The beginning of each script. `look` reads `/proc/$1/stat` into `state`, `parent`, `session`, `foreground` and
 * `started`, and is false where there is none; `same` says whether the leader still is who it was.
 */
export const lookScript = `set -f
fields() { state=$1 parent=$2 session=$4 foreground=$6; shift 19; started=$1; }
look() {
{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
fields \${stat##*) }
}
leader=$1 birth=$2
same() { look "$leader" && [ "\${birth:-$started}" = "$started" ]; }`

/**
 * To the leader's process group, as sshd does it, or to the leader alone where it has left that. There is no `--` before
 * the group: busybox' kill takes that for a process, and fails after it has signalled the others.
 */
const signalScript = `${lookScript}
same || [ ! -r /proc/self/stat ] || exit 1
kill "-$3" "-$leader" 2>/dev/null || kill -s "$3" "$leader" 2>/dev/null`

/** To the process group that the leader's terminal has in its foreground: where Ctrl-C goes. */
const interruptScript = `${lookScript}
same || exit 1
[ "$foreground" -gt 1 ] && kill -INT "-$foreground" 2>/dev/null`

/**
 * For each line on stdin, a signal's name or `-`, sends that to all processes of the tree, and ends with 0 when there
 * are none. Whoever reads the lines' schedule from us needs no `sleep` in the image; where we are gone, KILL it is.
 *
 * The tree are the members of the leader's session and all their descendants, which includes what a program like
 * script(1) runs on a terminal of its own. Once known, a process stays in it also when its parent has ended and nothing
 * leads to it any more; it is known by its id and start time. A stopped process gets CONT, so that it can take what
 * comes with it. Zombies are no processes any more: whoever has to collect them may take its time.
 */
const endScript = `${lookScript}
if look "$leader" && [ "\${birth:-$started}" != "$started" ]; then exit 0; fi
tree=' '
grow() {
all=
set +f
set -- /proc/[0-9]*
set -f
for process; do
process=\${process#/proc/}
[ "$process" != $$ ] && look "$process" || continue
case $state in [ZX]) continue ;; esac
all="$all $process/$started:$parent:$session"
done
grown=yes ours=
while [ -n "$grown" ]; do
grown=
for entry in $all; do
who=\${entry%%:*} of=\${entry#*:}
case $ours in *" $who "*) continue ;; esac
case $tree in
*" $who "*) ;;
*)
[ "\${of#*:}" = "$leader" ] || case $ours in *" \${of%:*}/"*) ;; *) continue ;; esac
tree="$tree$who " ;;
esac
ours="\${ours:- }$who " grown=yes
done
done
}
send() {
for who in $ours; do
kill -s "$1" "\${who%/*}" 2>/dev/null
case $1 in HUP|TERM) kill -s CONT "\${who%/*}" 2>/dev/null ;; esac
done
}
while read -r signal; do
grow
[ -n "$ours" ] || exit 0
[ "$signal" = - ] || send "$signal"
done
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
grow
[ -n "$ours" ] || exit 0
send KILL
done
exit 1`

/** The argument vector that runs a script with its leader, and with what else the script takes. */
export const leaderCommand = (
  script: string,
  { pid, started }: Leader,
  ...more: ReadonlyArray<string>
): ReadonlyArray<string> => [
  shell,
  "-c",
  script,
  shell,
  String(pid),
  started ?? "",
  ...more
]

/** Delivers the signal to the program's process group; ends with 0 where it was delivered. */
export const signalCommand = (leader: Leader, name: string): ReadonlyArray<string> =>
  leaderCommand(signalScript, leader, name)

/** Delivers INT to the foreground of the program's terminal; ends with 0 where it was delivered. */
export const interruptCommand = (leader: Leader): ReadonlyArray<string> => leaderCommand(interruptScript, leader)

/** Ends all processes of the program, by the lines that it reads: see `schedule`. 0: nothing is left. */
export const endCommand = (leader: Leader): ReadonlyArray<string> => leaderCommand(endScript, leader)

/**
 * What the ending is told and when, in milliseconds after the line before: HUP, a second later TERM, two seconds later
 * KILL, and looks between them, so that it is over as soon as nothing is left.
 */
export const schedule: ReadonlyArray<readonly [millis: number, line: string]> = [
  [0, "HUP"],
  [50, "-"],
  [150, "-"],
  [300, "-"],
  [500, "TERM"],
  [50, "-"],
  [150, "-"],
  [300, "-"],
  [500, "-"],
  [1000, "KILL"],
  [50, "KILL"],
  [150, "KILL"],
  [300, "KILL"],
  [500, "KILL"]
]
