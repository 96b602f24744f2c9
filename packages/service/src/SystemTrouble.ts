/**
 * The operating system's refusals in plain words.
 */
import type { PlatformError } from "effect"

/** Why a file could not be used, to stand behind a colon. */
export const fileTrouble = (error: PlatformError.PlatformError): string => {
  switch (error.reason._tag) {
    case "NotFound":
      return "there is no such file"
    case "PermissionDenied":
      return "permission denied"
    case "AlreadyExists":
      return "it exists already"
    case "BadResource":
      return "it is a folder, or leads nowhere"
    default:
      return error.reason._tag === "BadArgument" ? error.reason.message : error.reason.description ?? error.reason._tag
  }
}
