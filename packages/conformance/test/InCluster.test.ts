import { assert, describe, it } from "@effect/vitest"
import { loadYaml } from "@kubernetes/client-node"
import { make } from "@kuberun/minicluster"
import { Process } from "@kuberun/testkit"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, serve } from "./support/Serve.ts"
import { service } from "./support/Service.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))

const pod = {
  podSpec: { containers: [{ name: "shell", image: "busybox" }], terminationGracePeriodSeconds: 1 },
  shellCommand: ["/bin/sh"]
}

/** An HTTP proxy that carries whatever it is asked to (RFC 9110 §9.3.6), and tells where to. */
const proxy = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly carried: ReadonlyArray<string>; readonly close: () => void }>(
    (resume) => {
      const carried: Array<string> = []
      const sockets = new Set<Socket>()
      const keep = (socket: Socket) => sockets.add(socket.on("error", () => socket.destroy()))
      const server = createServer().on("connect", ({ url = "" }, client: Socket) => {
        carried.push(url)
        const { hostname, port } = new URL(`http://${url}`)
        const there = connect(Number(port), hostname, () => {
          client.write("HTTP/1.1 200 Connection established\r\n\r\n")
          client.pipe(there).pipe(client)
        })
        for (const socket of [client, there]) keep(socket)
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ port, carried, close }))
      })
    }
  ),
  ({ close }) => Effect.sync(close)
)

describe("ways to a cluster", () => {
  it.live("by the proxy that a kubeconfig names", () =>
    Effect.scoped(Effect.gen(function*() {
      const { kubeconfig } = yield* make()
      const { carried, port } = yield* proxy
      const named = loadYaml<{ clusters: ReadonlyArray<{ cluster: { server: string } }> }>(kubeconfig)
      const clusters = named.clusters.map(({ cluster, ...rest }) => ({
        ...rest,
        cluster: { ...cluster, "proxy-url": `http://127.0.0.1:${port}` }
      }))
      const path = join(yield* folder, "kubeconfig")
      writeFileSync(path, JSON.stringify({ ...named, clusters }))
      const running = yield* serve({ config: { pod }, kubeconfig, flags: ["--kubeconfig", path] })
      const ran = yield* running.run("printf hello | $SSH 'cat; exit 7'")
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [7, "hello", ""])
      const server = new URL(named.clusters[0]?.cluster.server ?? "").host
      assert.deepStrictEqual([...new Set(carried)], [server])
      yield* running.podsGone
    })), 60_000)

  it.live("from inside, by the service account of the service's own pod", () =>
    Effect.scoped(Effect.gen(function*() {
      const { kubeconfig } = yield* make()
      const path = yield* folder
      writeFileSync(join(path, "kubeconfig"), kubeconfig)
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(path, "key")])
      // The embedded cluster's pods see the machine's files, so that the command is in their image.
      const script = [
        "cd \"$(mktemp -d)\"",
        "printf %s \"$CONFIG\" > kuberun.yaml",
        "printf '%s\\n' \"$KEYS\" > keys",
        `exec ${root}node_modules/.bin/node --conditions=@kuberun/source ${root}packages/service/src/bin.ts ` +
        "serve --listen 127.0.0.1:0 --config kuberun.yaml --authorized-keys keys 2>&1"
      ].join("\n")
      const manifest = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "kuberun" },
        spec: {
          containers: [{
            name: "kuberun",
            image: "busybox",
            command: ["sh", "-c", script],
            env: [
              { name: "CONFIG", value: JSON.stringify({ pod }) },
              { name: "KEYS", value: readFileSync(join(path, "key.pub"), "utf8") }
            ]
          }],
          terminationGracePeriodSeconds: 5
        }
      }
      writeFileSync(join(path, "pod.json"), JSON.stringify(manifest))
      const env = { KUBECONFIG: join(path, "kubeconfig") }
      const kubectl = (text: string) => Process.start("/bin/bash", ["-c", text], { cwd: path, env })
      const made = yield* kubectl(
        "kubectl create clusterrolebinding kuberun --clusterrole=cluster-admin --serviceaccount=default:default && " +
          "kubectl apply -f pod.json && kubectl wait --for=condition=Ready pod/kuberun"
      )
      assert.strictEqual(yield* made.exit, 0, yield* made.stderr)
      const log = yield* kubectl("kubectl logs -f kuberun")
      const [, port = ""] = yield* log.stdoutMatch(/listening on 127\.0\.0\.1:(\d+)/)
      const inside = service({ process: log, folder: path, kubeconfig: env.KUBECONFIG, port, key: "key" })
      const ran = yield* inside.run("printf hello | $SSH 'cat; hostname; exit 7'")
      assert.strictEqual(ran.code, 7, ran.err)
      assert.match(ran.out, /^hellokuberun-[a-z0-9]+\n$/)
      yield* inside.podsGone
    })), 60_000)
})
