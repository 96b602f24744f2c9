/**
 * How a session channel's program is started, whatever kind of pod it gets: the shape that the modes share.
 */
import type { Effect, Scope, SubscriptionRef } from "effect"
import type { PodEnded, PodStartError } from "../pod/PodStartError.ts"
import type { ClusterError, ExecProcess } from "../ports/Cluster.ts"
import type { TerminalSize } from "../ports/Output.ts"
import type { TerminalModes } from "../ports/Ssh.ts"

/** A program, as the requests on its channel describe it. */
export interface ProgramLaunch {
  /** The argument vector of the user's own program. */
  readonly command: readonly [string, ...Array<string>]
  /** The same for an image that has no `sh`, or the sentence that says why that cannot be. */
  readonly withoutShell: readonly [string, ...Array<string>] | { readonly refusal: string }
  /** The user's shell, for SHELL where the image has it. */
  readonly shell: string | undefined
  /** Variables beside those of the container, in the order in which they are set. */
  readonly environment: ReadonlyArray<readonly [name: string, value: string]>
  readonly terminal: {
    readonly term: string
    readonly modes: TerminalModes
  } | undefined
}

/** A program that was started. */
export interface LaunchedProgram {
  /** Its streams and its exit. */
  readonly process: ExecProcess
  /** Fails when its pod is no more. */
  readonly ended: Effect.Effect<never, PodEnded>
  /** Asks now whether the pod, or the container in it, is the reason for the program's end, and fails if so. */
  readonly check: Effect.Effect<void, PodEnded>
  /**
   * The same for a program that was killed: its container may have been, and Kubernetes takes a moment to say so. Left
   * out: `check`.
   */
  readonly checkKilled?: Effect.Effect<void, PodEnded> | undefined
  /**
   * Delivers a signal (RFC 4254 §6.10 names, without SIG) to the program's process group. False where that is not
   * possible: an unknown name, an image without the means.
   */
  readonly signal: (name: string) => Effect.Effect<boolean>
  /** What a break on a serial line does (RFC 4335): INT to the terminal's foreground process group. */
  readonly interrupt: Effect.Effect<boolean>
}

/** The pod of a session channel, which may still be starting. */
export interface SessionPod {
  /** Its name, once it is known that there is one, or why not: for the log. */
  readonly name: Effect.Effect<string | undefined>
  /** What it does while it starts, for a person to read. */
  readonly activity: SubscriptionRef.SubscriptionRef<string>
  /**
   * Waits for the pod and starts the program in it. When the scope closes while the program still runs, its process
   * tree is ended: HUP, TERM, KILL. A terminal gets the size that `size` gives when the pod is ready.
   */
  readonly launch: (
    program: ProgramLaunch,
    size: Effect.Effect<TerminalSize>
  ) => Effect.Effect<LaunchedProgram, PodStartError | PodEnded | ClusterError, Scope.Scope>
}
