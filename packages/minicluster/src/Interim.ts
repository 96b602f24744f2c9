import { Effect } from "effect"
import { mergePatch } from "./MergePatch.ts"

export const openApi = (_: ReadonlyArray<string>) => undefined
export const applyPatch = (_: unknown, __: string, current: unknown, patch: unknown) =>
  Effect.succeed(mergePatch(current, patch))
