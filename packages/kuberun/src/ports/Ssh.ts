/**
 * The port to SSH: an authenticated connection and its session channels (RFC 4254 §5 and §6).
 *
 * `@kuberun/ssh` implements it over ssh2; `@kuberun/testkit` has a fake for tests.
 */
import { type Effect, Schema, type Sink, type Stream } from "effect"
import type { Identity } from "./Identity.ts"
import type { Output, TerminalSize } from "./Output.ts"

/** The channel is closed, or its connection is gone: nothing more can be sent on it. */
export class ChannelClosed extends Schema.TaggedError<ChannelClosed>()("ChannelClosed", {}) {
  override readonly message = "the SSH channel is closed"
}

/** The encoded terminal modes of a pty-req (RFC 4254 §8): opcode to value, in the order sent. */
export type TerminalModes = ReadonlyMap<number, number>

/**
 * A request on a session channel (RFC 4254 §6). Every one is answered once with `reply`, in the order in which they
 * came; where the client wants no reply, `reply` sends nothing. Texts are as the client sent them: UTF-8, and in variables and
 * commands any other bytes as `ByteText.ts` says.
 */
export type SessionRequest =
  & { readonly reply: (success: boolean) => Effect.Effect<void> }
  & (
    | { readonly _tag: "Environment"; readonly name: string; readonly value: string }
    | {
      readonly _tag: "Terminal"
      readonly term: string
      readonly size: TerminalSize
      readonly modes: TerminalModes
    }
    | { readonly _tag: "Shell" }
    | { readonly _tag: "Exec"; readonly command: string }
    | { readonly _tag: "Subsystem"; readonly name: string }
    | { readonly _tag: "WindowChange"; readonly size: TerminalSize }
    /** `name` has no SIG prefix: `TERM`. */
    | { readonly _tag: "Signal"; readonly name: string }
    /** Break (RFC 4335), so long; 0 leaves it to the server. */
    | { readonly _tag: "Break"; readonly milliseconds: number }
    /** Any other request type, to be answered with failure unless the handler knows it. */
    | { readonly _tag: "Unknown"; readonly type: string }
  )

/** How a program ended (RFC 4254 §6.10). A signal's name has no SIG prefix. */
export type ExitStatus =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "Signaled"; readonly signal: string; readonly message: string }

/** A session channel: open from the time it is handed out until `exit` was called or the client closed it. */
export interface SessionChannel {
  /** Its number within the connection, for the log. */
  readonly id: number
  /** The client's requests in order. Ends when the channel is closed. Run it once. */
  readonly requests: Stream.Stream<SessionRequest>
  /**
   * What the client sends for the program's stdin, from the channel's opening on: nothing is lost before it is run.
   * Pulling it opens the SSH window; ends with the client's EOF or the channel. Run it once.
   */
  readonly stdin: Stream.Stream<Uint8Array>
  /**
   * Takes output no faster than the client's window and its TCP connection do. Completes when all of it was handed
   * to the connection. It may be run several times, also at once, and leaves the channel open: each run's output stays in
   * order.
   */
  readonly output: Sink.Sink<void, Output, never, ChannelClosed>
  /** After the last output: sends the exit status or signal, EOF and close. A second call has no effect. */
  readonly exit: (status: ExitStatus) => Effect.Effect<void>
  /** Completes when the channel is closed, by either side or with the connection. */
  readonly closed: Effect.Effect<void>
}

/** An authenticated SSH connection. */
export interface SshConnection extends Omit<Identity, "connectionId"> {
  /** 32 hexadecimal digits, made for this connection. */
  readonly id: string
  /** The client's identification, without `SSH-2.0-`. */
  readonly clientVersion: string
  /** The session channels in the order in which they are opened. Ends when the connection is gone. Run it once. */
  readonly sessions: Stream.Stream<SessionChannel>
}
