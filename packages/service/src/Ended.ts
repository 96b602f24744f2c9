/**
 * The end of the process that is not a success: its exit status, and the sentence for stderr.
 */
import { Runtime, Schema } from "effect"

export class Ended extends Schema.TaggedError<Ended>()("Ended", { exitCode: Schema.Int, message: Schema.String }) {
  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}
