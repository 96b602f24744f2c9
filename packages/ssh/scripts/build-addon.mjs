/**
 * Builds ssh2's native cipher addon for the Node that runs this script (three to five times the throughput).
 *
 * Runs as the workspace's `postinstall`, when every dependency is in place. The pinned `node` package brings the
 * headers, so nothing is downloaded. Without a compiler the build is skipped with one line: ssh2 then works with
 * Node's own ciphers, and the service says so when it starts.
 */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const require = createRequire(import.meta.url)

const skip = (reason) => {
  console.log(`ssh2 cipher addon not built (${reason}); kuberun works without it, with a third of the throughput`)
  process.exit(0)
}

const loaded = () => {
  try {
    execFileSync(process.execPath, [
      "-e",
      "process.exit(require(process.argv[1]).bindingAvailable ? 0 : 1)",
      require.resolve("ssh2/lib/protocol/crypto.js")
    ], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** `node_modules/node/node_modules/node-<platform>-<arch>` holds `include/node` of the pinned version. */
const headers = () => {
  const packageName = `node-${process.platform}-${process.arch}`
  const candidates = []
  try {
    const nodePackage = dirname(require.resolve("node/package.json"))
    candidates.push(join(nodePackage, "node_modules", packageName), join(nodePackage, "..", packageName))
  } catch {
    // the pinned node is a development dependency: absent in a production install
  }
  candidates.push(join(dirname(process.execPath), ".."))
  return candidates.find((folder) => existsSync(join(folder, "include", "node", "node.h")))
}

const nodeGyp = () => {
  const npm = process.env.npm_execpath
  const candidates = npm === undefined ? [] : [join(dirname(realpathSync(npm)), "..", "node_modules", "node-gyp")]
  return candidates.map((folder) => join(folder, "bin", "node-gyp.js")).find(existsSync)
}

/** npm's own settings (a `nodedir`, say) would win over the arguments, and point at the headers of another Node. */
const buildEnvironment = () => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name))),
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`
})

if (loaded()) process.exit(0)
const nodedir = headers()
if (nodedir === undefined) skip("no Node headers")
const gyp = nodeGyp()
if (gyp === undefined) skip("npm's node-gyp not found")

const source = join(dirname(require.resolve("ssh2/lib/protocol/crypto.js")), "crypto")
const version = /#define NODE_MAJOR_VERSION (\d+)/.exec(
  readFileSync(join(nodedir, "include", "node", "node_version.h"), "utf8")
)?.[1]
if (version !== process.versions.node.split(".")[0]) skip(`headers are of Node ${version}`)
try {
  execFileSync(process.execPath, [
    gyp,
    "rebuild",
    `--nodedir=${nodedir}`,
    `--target=${process.version}`,
    "--real_openssl_major=3"
  ], { cwd: source, stdio: "pipe", env: buildEnvironment() })
} catch {
  skip("no working compiler")
}
if (!loaded()) skip("it was built but does not load")
console.log(`ssh2 cipher addon built for Node ${process.version}`)
