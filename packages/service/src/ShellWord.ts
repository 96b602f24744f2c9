/**
 * Text as a word that can be pasted into a shell. Pure.
 */

/** A word for a POSIX shell (POSIX.1-2024, XCU 2.2.2): quoted only where it must be. */
export const shellWord = (text: string): string =>
  /^[A-Za-z0-9_@%+:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
