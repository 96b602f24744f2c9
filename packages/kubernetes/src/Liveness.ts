/**
 * Whether the other side of an exec is still there.
 *
 * Pings keep load balancers from forgetting a silent connection (they do after 60 to 350 seconds), and ask for an
 * answer. The API server reads a stream in one loop: while the program does not read its stdin, that loop stands
 * still, and answers no ping either. So every ping carries how much stdin was sent before it. Its answer proves that
 * the server got past that, and silence only counts against the server when it owes nothing but pongs.
 */
import { Duration } from "effect"

/** client-go pings every 5 s; load balancers do not need it that often. */
export const PING_INTERVAL = Duration.seconds(15)

/** After this many unanswered pings, a minute, the other side is dead; client-go waits 61 s. */
const SILENT_BEATS = 4

/**
 * The same while stdin is not acknowledged: 4 hours, after which kubelets and runtimes give up a stream of their own
 * accord (`streamingConnectionIdleTimeout`). A peer that is really gone is found earlier, by TCP: the bytes that it
 * does not acknowledge there.
 */
const SILENT_BEATS_UNACKNOWLEDGED = 960

export interface Liveness {
  /** Something came. */
  readonly heard: () => void
  /** So many bytes of stdin were sent. */
  readonly sent: (bytes: number) => void
  /** A pong came, with this payload. */
  readonly acknowledged: (payload: string) => void
  /** The payload for the next ping. */
  readonly ping: () => string
  /** To be asked once per interval. While we do not read ourselves, no silence counts. */
  readonly isDead: (paused: boolean) => boolean
}

export const make = (): Liveness => {
  let silentBeats = 0
  let sent = 0
  let acknowledged = 0
  return {
    heard: () => {
      silentBeats = 0
    },
    sent: (bytes) => {
      sent += bytes
    },
    acknowledged: (payload) => {
      if (/^\d{1,16}$/u.test(payload)) acknowledged = Math.max(acknowledged, Number(payload))
    },
    ping: () => {
      silentBeats += 1
      return String(sent)
    },
    isDead: (paused) => {
      if (paused) silentBeats = 0
      return silentBeats >= (sent > acknowledged ? SILENT_BEATS_UNACKNOWLEDGED : SILENT_BEATS)
    }
  }
}
