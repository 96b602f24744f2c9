/**
 * What a program in a pod writes, and the terminal it writes to: the vocabulary that both ports share.
 */

/**
 * Bytes that a program wrote, in the order in which they arrived.
 *
 * One tagged stream rather than two: the order between stdout and stderr is kept as far as the cluster keeps it, one
 * bound covers both, and one writer serves an SSH channel, whose window the two share (RFC 4254 §5.2). With a
 * terminal everything is `Stdout`.
 */
export interface Output {
  readonly _tag: "Stdout" | "Stderr"
  readonly bytes: Uint8Array
}

/** Bytes for the program's standard output. */
export const stdout = (bytes: Uint8Array): Output => ({ _tag: "Stdout", bytes })

/** Bytes for the program's standard error (RFC 4254 §5.2, extended data type 1). */
export const stderr = (bytes: Uint8Array): Output => ({ _tag: "Stderr", bytes })

/** A terminal's size in character cells. Zero means "not known" (RFC 4254 §6.2). */
export interface TerminalSize {
  readonly columns: number
  readonly rows: number
  /** The same in pixels, where the client said so. An exec in Kubernetes has no field for them. */
  readonly pixels?: { readonly width: number; readonly height: number } | undefined
}
