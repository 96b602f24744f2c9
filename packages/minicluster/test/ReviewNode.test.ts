/** What must not outlive a pod, whenever it is deleted; and what a container finds in its environment. */
import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { layer as clusterLayer, makeWith, MiniclusterService } from "../src/Minicluster.ts"
import { call, eventually, isRunning, listAt, podBody, pods, textAt, until } from "./support/Client.ts"
import { temporaryFolder } from "./support/Container.ts"
import { processesWith } from "./support/Machine.ts"

it.live("nothing is left of pods that were deleted at any moment of their start", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryFolder
    const cluster = yield* makeWith({ directory }, {})
    const mark = `started-in-${directory}`
    const [own = ""] = readdirSync(directory)
    for (let wait = 0; wait < 60; wait += 2) {
      yield* call(cluster, "POST", pods, { body: podBody(`short-${wait}`, `: ${mark}; sleep 1000; :`) })
      yield* Effect.sleep(`${wait} millis`)
      yield* call(cluster, "DELETE", `${pods}/short-${wait}?gracePeriodSeconds=0`)
    }
    yield* eventually(
      () => processesWith(mark).length === 0 && readdirSync(join(directory, own, "pods")).length === 0,
      () => `${processesWith(mark).length} processes, ${readdirSync(join(directory, own, "pods")).join(" ")}`
    )
  })))
