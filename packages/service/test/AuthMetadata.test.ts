import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Kubernetes from "@kuberun/kubernetes"
import { make } from "@kuberun/minicluster"
import * as Ssh from "@kuberun/ssh"
import { OpenSsh } from "@kuberun/testkit"
import { Context, Effect, FileSystem, Layer, Redacted, Schedule } from "effect"
import { accepted, Authenticator, Cluster, decodeConfig, Kuberun } from "kuberun"

/** Says of each user who they are; what they say themselves is in their name. */
const authenticator = Authenticator.of({
  methods: ["password"],
  authenticate: ({ username }) =>
    Effect.succeed({
      ...accepted,
      metadata: { mail: `${username}@Example.com`, note: `$(HOME) "of" \${${username}}\n`, unused: "not told" }
    })
})

const exposed = {
  exposeAuthMetadataAsEnv: { mail: "USER_MAIL", note: "USER_NOTE", missing: "USER_MISSING" },
  exposeAuthMetadataAsLabels: { mail: "example.com/mail" },
  exposeAuthMetadataAsAnnotations: { mail: "example.com/mail", note: "example.com/note" }
}

const ways = {
  "mode connection": {},
  "mode session": { pod: { mode: "session" } },
  "mode user": { pod: { mode: "user" } },
  "mode persistent": { pod: { mode: "persistent", name: "desk-of-{{username}}", createMissingPods: true } },
  "a warm pool": { pool: { size: 1 } }
} satisfies Record<string, { readonly pod?: unknown; readonly pool?: unknown }>

describe("what the authenticator said of the user", () => {
  for (const [way, { pod, pool }] of Object.entries<{ readonly pod?: object; readonly pool?: object }>(ways)) {
    it.live(`${way}: reaches the program's environment, the pod's labels and its annotations`, () =>
      Effect.gen(function*() {
        const folder = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped({ prefix: "kuberun-" }))
        const { kubeconfig } = yield* make()
        const config = yield* decodeConfig({
          pod: {
            ...exposed,
            podSpec: { containers: [{ name: "shell", image: "busybox" }], terminationGracePeriodSeconds: 1 },
            ...pod
          },
          ...(pool === undefined ? {} : { pool })
        })
        const services = yield* Layer.build(
          Layer.provideMerge(
            Kuberun.layer(config),
            Kubernetes.layer({ _tag: "Kubeconfig", text: Redacted.make(kubeconfig) })
          )
        )
        const [cluster, kuberun] = [Context.get(services, Cluster), Context.get(services, Kuberun)]
        const { privateKey } = yield* Ssh.generateKey("test")
        const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [privateKey] })
        // In the scope, so that it ends before the cluster is let go.
        yield* Effect.forkScoped(server.run(kuberun.handle))
        const pods = cluster.listPods({ namespace: "default", labels: { "app.kubernetes.io/managed-by": "kuberun" } })
        if (pool !== undefined) {
          yield* Effect.repeat(pods, {
            schedule: Schedule.spaced("50 millis"),
            times: 400,
            until: (all) => all.some(({ status }) => status?.phase === "Running")
          })
        }

        const login = { port: server.address.port, folder, user: "alice" }
        const client = yield* OpenSsh.start(
          login,
          "printf '%s|' \"$USER_MAIL\" \"$USER_NOTE\" \"${USER_MISSING-unset}\"; env | grep -c 'not told'; read line",
          "open"
        )
        yield* client.stdoutMatch(/\|\d+\n$/)
        assert.strictEqual(yield* client.stdout, "alice@Example.com|$(HOME) \"of\" ${alice}\n|unset|0\n")
        const own = (yield* pods).filter(({ metadata }) => metadata.annotations?.["containerssh_username"] === "alice")
        assert.lengthOf(own, 1)
        const { annotations, labels } = own[0]?.metadata ?? {}
        assert.strictEqual(annotations?.["example.com/mail"], "alice@Example.com")
        assert.strictEqual(annotations?.["example.com/note"], "$(HOME) \"of\" ${alice}\n")
        assert.match(labels?.["example.com/mail"] ?? "", /^alice-Example\.com-[a-z0-9]+$/)
        yield* client.write("\n")
        assert.strictEqual(yield* client.exit, 0, yield* client.stderr)
      }).pipe(
        Effect.scoped,
        Effect.provideService(Authenticator, authenticator),
        Effect.provide(NodeServices.layer)
      ))
  }
})
