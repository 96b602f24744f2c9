/**
 * What stands between an exec and the user's program: a small `sh` program that tells its process id, sets the
 * environment and the terminal, and then becomes the user's program by `exec`, so that no process stays in between.
 * Pure.
 *
 * An exec in Kubernetes has an argument vector and nothing else: no environment, no terminal type, no terminal modes.
 */
import { hasRawBytes, replaceRawBytes } from "../ports/ByteText.ts"
import { closing, opening } from "./Announcement.ts"
import type { ProgramLaunch } from "./Launch.ts"
import { sttySettings } from "./TerminalModes.ts"

/** The shell that every image with a shell has. */
export const shell = "/bin/sh"

/**
 * Its arguments: an announcement's beginning and end (empty: none is made), the program's file, all terminal settings,
 * the portable ones among them (for an `stty` that does not know them all and so would set none), the user's shell for
 * SHELL, whether there is a terminal, whether what follows is escaped; for each variable `NAME=value`, then `--` and the
 * program.
 *
 * Nothing of the user's is ever part of the script's text, so that nothing needs quoting; `command` keeps a name that
 * the shell holds read-only from ending it. All but `stty` and, on a terminal that is no pseudo terminal, `tty` is in
 * the shell itself. `/proc/self/stat` tells the start time and the terminal's device (proc_pid_stat(5), fields 22 and
 * 7), behind the name in parentheses, which may hold anything.
 */
const prologue = `set -f
kuberun_fields() { kuberun_tty=$5; shift 19; kuberun_started=$1; }
kuberun_stat= kuberun_tty= kuberun_started=
{ read -r kuberun_stat </proc/self/stat; } 2>/dev/null
[ -z "$kuberun_stat" ] || kuberun_fields \${kuberun_stat##*) }
kuberun_found=$$
case $3 in
*/*) [ -x "$3" ] || kuberun_found= ;;
*) command -v "$3" >/dev/null 2>&1 || kuberun_found= ;;
esac
[ -z "$1" ] || printf %s "$1\${kuberun_found:-!}\${kuberun_found:+;$kuberun_started}$2" >&2
[ -n "$1" ] && [ -z "$kuberun_found" ] && exit 127
[ -z "$4" ] || stty $4 2>/dev/null || stty $5 2>/dev/null
[ -z "$6" ] || [ ! -x "$6" ] || command export "SHELL=$6"
if [ -n "$7" ]; then
kuberun_path=
[ $((\${kuberun_tty:-0} >> 8 & 4095)) -ne 136 ] ||
kuberun_path=/dev/pts/$((kuberun_tty & 255 | kuberun_tty >> 12 & 1048320))
[ -c "$kuberun_path" ] || kuberun_path=$(tty 2>/dev/null) || kuberun_path=
[ -z "$kuberun_path" ] || command export "SSH_TTY=$kuberun_path"
fi
kuberun_bytes=$8
shift 8
if [ -n "$kuberun_bytes" ]; then
for kuberun_text do
shift
kuberun_text=$(printf '%bx' "$kuberun_text")
set -- "$@" "\${kuberun_text%x}"
done
fi
while [ "$1" != -- ]; do command export "$1" 2>/dev/null; shift; done
shift
exec "$@"`

/** As `printf %b` reads it (POSIX, printf(1)). */
const escaped = (text: string): string =>
  replaceRawBytes(text.replaceAll("\\", "\\\\"), (byte) => `\\0${byte.toString(8)}`)

/**
 * The argument vector of an exec that sets the program up and becomes it. With a `word` it announces itself by it, see
 * `Announcement.ts`; without one, and with nothing to set, it is the program's alone.
 */
export const withPrologue = (program: ProgramLaunch, word?: string): ProgramLaunch["command"] => {
  const { command, environment, terminal } = program
  const variables = environment.map(([name, value]) => `${name}=${value}`)
  if (terminal !== undefined && terminal.term !== "") variables.push(`TERM=${terminal.term}`)
  const settings = sttySettings(terminal?.modes ?? new Map())
  const words = [...variables, "--", ...command]
  // An exec's arguments have to be UTF-8: other bytes are written out, and made again by the shell.
  const escapes = words.some(hasRawBytes)
  const nothingToSet = variables.length === 0 && settings.all === "" && terminal === undefined
  if (word === undefined && nothingToSet && !escapes) return command
  return [
    shell,
    "-c",
    prologue,
    shell,
    ...(word === undefined ? ["", ""] : [opening(word), closing]),
    command[0],
    settings.all,
    settings.portable,
    program.shell ?? "",
    terminal === undefined ? "" : "terminal",
    escapes ? "escaped" : "",
    ...escapes ? words.map(escaped) : words
  ]
}
