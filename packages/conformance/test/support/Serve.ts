/**
 * `kuberun serve` in a process of its own, for what `kuberun dev` decides by itself: the cluster that the configuration
 * names, and how it is called. In front of an embedded cluster in the test's process, so that a test can change it.
 */
import type { Minicluster } from "@kuberun/minicluster"
import { Process } from "@kuberun/testkit"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { service } from "./Service.ts"

/** A private folder, which goes with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-conformance-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export interface ServeOptions {
  /** The whole configuration: as text, or as a map that becomes JSON. */
  readonly config: string | Readonly<Record<string, unknown>>
  /** The kubeconfig of the cluster's administrator, for the test. */
  readonly kubeconfig: string
  readonly flags?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

/** The process with its configuration, as it begins. */
export const begin = Effect.fn("Serve.begin")(function*({ config, env, flags = [], kubeconfig }: ServeOptions) {
  const path = yield* folder
  const file = (name: string, text: string) => writeFileSync(join(path, name), text)
  yield* Effect.sync(() =>
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(path, "client_key")])
  )
  file("kuberun.yaml", typeof config === "string" ? config : JSON.stringify(config))
  file("admin.kubeconfig", kubeconfig)
  const process = yield* Process.kuberun(
    ["serve", "--listen", "127.0.0.1:0", "--config", "kuberun.yaml", "--authorized-keys", "client_key.pub", ...flags],
    { cwd: path, ...(env === undefined ? {} : { env }) }
  )
  return { process, folder: path }
})

/** The service when it listens. */
export const serve = Effect.fn("Serve.serve")(function*(options: ServeOptions) {
  const { folder, process } = yield* begin(options)
  const [, port = ""] = yield* process.stderrMatch(/listening on 127\.0\.0\.1:(\d+)/)
  return service({ process, folder, kubeconfig: join(folder, "admin.kubeconfig"), port, key: "client_key" })
})

/** The service of a cluster that the test holds itself, to do to it what it likes. */
export const inFrontOf = ({ kubeconfig }: Minicluster, config: Readonly<Record<string, unknown>>) =>
  serve({ config, kubeconfig, flags: ["--kubeconfig", "admin.kubeconfig"] })
