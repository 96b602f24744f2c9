import { assert, describe, it } from "@effect/vitest"
import { KubeConfig } from "@kubernetes/client-node"
import { make, type Minicluster } from "@kuberun/minicluster"
import { Effect } from "effect"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gateway } from "./support/Gateway.ts"
import { begin, folder, serve } from "./support/Serve.ts"

const pod = {
  podSpec: { containers: [{ name: "shell", image: "busybox" }], terminationGracePeriodSeconds: 1 },
  shellCommand: ["/bin/sh"]
}

const decoded = (base64: string | undefined) => Buffer.from(base64 ?? "", "base64").toString()

/** What a kubeconfig says, as the keys under `connection` have it. */
const said = (kubeconfig: string) => {
  const config = new KubeConfig()
  config.loadFromString(kubeconfig)
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()]
  return {
    url: cluster?.server ?? "",
    cacert: decoded(cluster?.caData),
    cert: decoded(user?.certData),
    key: decoded(user?.keyData),
    bearerToken: user?.token ?? ""
  }
}

/** A service whose configuration alone says which cluster it uses, and who it is there. */
const connected = (cluster: Minicluster, connection: Readonly<Record<string, unknown>>, timeout = "20s") =>
  serve({ config: { connection, pod, timeout }, kubeconfig: cluster.kubeconfig })

describe("the keys of connection, each with a login", () => {
  it.live(
    "host with cacert and bearerToken; host:port with files of certificates and a serverName; insecure",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* make()
        const { bearerToken, cacert, url } = said(cluster.kubeconfig)
        const client = said(yield* cluster.kubeconfigFor({ user: "service", groups: ["system:masters"] }))
        const path = yield* folder
        const file = (name: string, text: string) => {
          writeFileSync(join(path, name), text)
          return join(path, name)
        }
        const cacertFile = file("ca.pem", cacert)
        const host = new URL(url).host
        const ways = {
          "a URL, an inline token": { host: url, cacert, bearerToken },
          "host:port, a client certificate inline, another name in the server's": {
            host,
            cacertFile,
            serverName: "localhost",
            cert: client.cert,
            key: client.key
          },
          "a client certificate by files": {
            host,
            cacertFile,
            certFile: file("client.pem", client.cert),
            keyFile: file("client.key", client.key)
          },
          "no verification, a token's file": {
            host,
            insecure: true,
            bearerTokenFile: file("token", `${bearerToken}\n`)
          }
        }
        for (const [way, connection] of Object.entries(ways)) {
          const service = yield* connected(cluster, connection)
          const ran = yield* service.run("$SSH 'echo in; exit 7'")
          assert.deepStrictEqual([way, ran.code, ran.out, ran.err], [way, 7, "in\n", ""])
          yield* service.podsGone
        }
        const wrong = yield* connected(cluster, { host, cacertFile, serverName: "other.test", bearerToken }, "2s")
        const refused = yield* wrong.run("$SSH true")
        assert.strictEqual(refused.code, 255)
        assert.match(refused.err, /^kuberun: [^\n]*certificate[^\n]*\n$/)
      })),
    90_000
  )

  it.live("path, username and password, at a gateway that has all that", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make()
      const { bearerToken, cacert, url } = said(cluster.kubeconfig)
      const who = { username: "service", password: "p:w" }
      const { port } = yield* gateway({ url, bearerToken, cacert, prefix: "/k8s", ...who })
      const at = { host: `http://127.0.0.1:${port}`, path: "/k8s/api" }
      const service = yield* connected(cluster, { ...at, ...who })
      const ran = yield* service.run("printf 'hello\\n' | $SSH 'cat; exit 7'")
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [7, "hello\n", ""])
      yield* service.podsGone
      const unknown = yield* connected(cluster, { ...at, ...who, password: "wrong" })
      const refused = yield* unknown.run("$SSH true")
      assert.strictEqual(refused.code, 255)
      assert.match(refused.err, /^kuberun: [^\n]+\n$/)
      assert.notInclude(refused.err + (yield* unknown.process.stderr), "wrong")
    })), 60_000)

  it.live("bearerTokenFile, which is read again when it was rotated", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make()
      const { cacert, url } = said(cluster.kubeconfig)
      const token = join(yield* folder, "token")
      writeFileSync(token, "not yet a token\n")
      const service = yield* connected(cluster, { host: url, cacert, bearerTokenFile: token })
      const account = (name: string) =>
        service.run(
          `kubectl create serviceaccount ${name} && kubectl create clusterrolebinding ${name} ` +
            `--clusterrole=cluster-admin --serviceaccount=default:${name} && kubectl create token ${name} > ${token}`
        )
      assert.strictEqual((yield* account("first")).code, 0)
      const before = yield* service.run("$SSH 'echo in'")
      assert.deepStrictEqual([before.out, before.err], ["in\n", ""])
      yield* service.podsGone
      // From here on the first token is nobody's.
      yield* service.run("kubectl delete serviceaccount first")
      const revoked = yield* service.run("$SSH 'echo in'")
      assert.strictEqual(revoked.code, 255)
      assert.match(revoked.err, /^kuberun: [^\n]*Unauthorized[^\n]*\n$/i)
      assert.strictEqual((yield* account("second")).code, 0)
      const after = yield* service.run("$SSH 'echo in'")
      assert.deepStrictEqual([after.out, after.err], ["in\n", ""])
      yield* service.podsGone
    })), 60_000)

  it.live(
    "qps and burst: a login that waits in front of the API says so in the log",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* make()
        const { bearerToken, cacert, url } = said(cluster.kubeconfig)
        const service = yield* connected(cluster, { host: url, cacert, bearerToken, qps: 5, burst: 1 })
        const names = yield* service.run("for n in 1 2 3; do $SSH hostname & done; wait")
        assert.lengthOf(new Set(names.out.trim().split("\n")), 3, names.err)
        assert.match(
          yield* service.process.stderr,
          /waiting \d+\.\d s for the API call limit \(qps 5\): run a program in pod default\/kuberun-[^\n]*user=demo/
        )
        yield* service.podsGone
      })),
    60_000
  )

  it.live(
    "timeout: a call that is not answered is given up, tried again, and the login succeeds",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* make({
          faults: { rules: [{ verbs: ["create"], resources: ["pods"], times: 1, latency: { millis: 30_000 } }] }
        })
        const { bearerToken, cacert, url } = said(cluster.kubeconfig)
        const service = yield* connected(cluster, { host: url, cacert, bearerToken, timeout: "500ms" })
        const ran = yield* service.run("$SSH 'echo in'")
        assert.deepStrictEqual([ran.out, ran.err], ["in\n", ""])
        yield* service.podsGone
      })),
    60_000
  )
})

describe("a kubeconfig", () => {
  it.live(
    "serves by its context, with a credential plugin, the authority's file and another name in the certificate",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* make()
        const { bearerToken, cacert, url } = said(cluster.kubeconfig)
        const path = yield* folder
        writeFileSync(join(path, "ca.pem"), cacert)
        const credential = {
          apiVersion: "client.authentication.k8s.io/v1",
          kind: "ExecCredential",
          status: { token: bearerToken }
        }
        writeFileSync(join(path, "plugin"), `#!/bin/sh\necho asked >> asked\necho '${JSON.stringify(credential)}'\n`)
        chmodSync(join(path, "plugin"), 0o755)
        const plugin = {
          apiVersion: "client.authentication.k8s.io/v1",
          command: join(path, "plugin"),
          interactiveMode: "Never"
        }
        writeFileSync(
          join(path, "kubeconfig"),
          JSON.stringify({
            apiVersion: "v1",
            kind: "Config",
            clusters: [
              {
                name: "real",
                cluster: { server: url, "certificate-authority": "ca.pem", "tls-server-name": "localhost" }
              },
              { name: "away", cluster: { server: "https://127.0.0.1:1" } }
            ],
            users: [{ name: "me", user: { exec: plugin } }],
            contexts: ["real", "away"].map((name) => ({ name, context: { cluster: name, user: "me" } })),
            "current-context": "away"
          })
        )
        const service = yield* serve({
          config: { pod },
          kubeconfig: cluster.kubeconfig,
          flags: ["--kubeconfig", join(path, "kubeconfig"), "--context", "real"]
        })
        const ran = yield* service.run("for n in 1 2; do $SSH 'echo in'; done; cat asked")
        assert.deepStrictEqual([ran.out, ran.err], ["in\nin\nasked\n", ""])
        yield* service.podsGone
      })),
    60_000
  )
})

/** As ContainerSSH's users have it, with keys that only ContainerSSH has. */
const containerSsh = (url: string, cacert: string, bearerToken: string) => `
backend: kubernetes
kubernetes:
  connection:
    host: ${url}
    cacert: ${JSON.stringify(cacert)}
    bearerToken: ${bearerToken}
    qps: 100
    burst: 100
  timeouts: { podStart: 30s, podStop: 30s, commandStart: 30s, signal: 30s, window: 30s, http: 10s }
  pod:
    metadata:
      namespace: default
      generateName: guest-
      labels: { team: "{{username}}" }
      annotations: { note: theirs }
    mode: MODE
    disableAgent: true
    spec:
      containers: [{ name: shell, image: busybox, env: [{ name: COLOUR, value: red }] }]
      terminationGracePeriodSeconds: 1
    shellCommand: [/bin/sh]
    subsystems: { count: /usr/bin/wc }
`

describe("a file of ContainerSSH's", () => {
  it.live("serves its users, in each of its modes", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make()
      const { bearerToken, cacert, url } = said(cluster.kubeconfig)
      const file = containerSsh(url, cacert, bearerToken)
      const of = (mode: string) => serve({ config: file.replace("MODE", mode), kubeconfig: cluster.kubeconfig })
      for (const mode of ["connection", "session"]) {
        const service = yield* of(mode)
        const seen =
          "kubectl get pods -o jsonpath='{.items[*].metadata.labels.team} {.items[*].metadata.annotations.note}'"
        const client = yield* service.script("exec $SSH 'hostname; echo $COLOUR; read line; exit 7'", "open")
        yield* client.stdoutMatch(/^guest-[a-z0-9]+\nred\n$/)
        assert.strictEqual((yield* service.run(seen)).out, "demo theirs")
        yield* client.write("\n")
        assert.strictEqual(yield* client.exit, 7)
        const counted = yield* service.run("printf abc | $SSH -s count")
        assert.match(counted.out, /^\s*0\s+1\s+3\s*$/, counted.err)
        yield* service.podsGone
      }
      const persistent = file.replace("generateName: guest-", "name: desk-of-{{username}}")
        .replace("mode: MODE", "mode: persistent\n    createMissingPods: true")
      const service = yield* serve({ config: persistent, kubeconfig: cluster.kubeconfig })
      assert.strictEqual((yield* service.run("$SSH 'hostname; exit 3'")).out, "desk-of-demo\n")
      assert.lengthOf(yield* service.pods, 1)
    })), 90_000)
})

describe("a configuration that cannot be used", () => {
  it.live("is told before anybody can log in: all that is wrong with it, and no secret", () =>
    Effect.scoped(Effect.gen(function*() {
      const config = `
connection: { host: "https://me:hunter2@example.com", bearerToken: 17, qps: fast }
pod:
  podSpec: { contaners: [{ name: shell, image: busybox }] }
  labels: { "app.kubernetes.io/managed-by": me }
timout: 60s
`
      const { process } = yield* begin({ config, kubeconfig: "" })
      assert.strictEqual(yield* process.exit, 1)
      const told = yield* process.stderr
      for (const path of ["connection.bearerToken", "connection.qps", "pod.podSpec.contaners", "timout"]) {
        assert.include(told, path)
      }
      assert.notInclude(told, "hunter2")
      assert.notInclude(told, "    at ")
      assert.notInclude(told, "listening")
    })))

  it.live("of ContainerSSH's names what cannot be honoured", () =>
    Effect.scoped(Effect.gen(function*() {
      const config = `
kubernetes: { pod: { metadata: { finalizers: [x] } } }
security: { maxSessions: 3 }
audit: { enable: true }
`
      const { process } = yield* begin({ config, kubeconfig: "" })
      assert.strictEqual(yield* process.exit, 1)
      const told = yield* process.stderr
      for (const path of ["kubernetes.pod.metadata.finalizers", "security", "audit"]) {
        assert.match(told, new RegExp(`^ *${path.replaceAll(".", "\\.")}:? [^\\n]*cannot be honoured`, "m"))
      }
    })))
})
