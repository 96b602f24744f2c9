/**
 * The folder that relative paths of the command line belong to, and where `.kuberun` lives.
 */

/** The scripts of this project's package.json that run the command. */
const ownScripts: ReadonlySet<string> = new Set(["start", "kuberun"])
const ownPackage = "kuberun-workspace"

/**
 * The current folder; under `npm start` the one that npm was called in (`INIT_CWD`), since npm itself moves to the
 * package's root. Another package's script that calls `kuberun` means its own current folder.
 */
export const workingFolder = (env: Readonly<Record<string, string | undefined>>, currentFolder: string): string => {
  const calledIn = env["INIT_CWD"]
  const byOwnScript = env["npm_package_name"] === ownPackage && ownScripts.has(env["npm_lifecycle_event"] ?? "")
  return byOwnScript && calledIn !== undefined && calledIn.startsWith("/") ? calledIn : currentFolder
}
