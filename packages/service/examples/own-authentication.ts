// kuberun as a part of another Effect application: its own users log in, by its own rules, and it has a page that says
// who is there. With KUBECONFIG naming a cluster:
//
//   npx node --conditions=@kuberun/source packages/service/examples/own-authentication.ts
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Kubernetes from "@kuberun/kubernetes"
import * as Ssh from "@kuberun/ssh"
import { Context, Effect, Layer, Redacted, Ref } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { accepted, Authenticator, decodeConfig, Kuberun, type Policy, rejected } from "kuberun"
import { createServer } from "node:http"

// What the application knows of its users; in a real one it asks a database, and compares digests.
const users = new Map([
  ["alice", { password: "wonderland", team: "blue" }],
  ["bob", { password: "builder", team: "green" }]
])

const authenticator = Layer.succeed(Authenticator, {
  methods: ["password"],
  authenticate: (request) =>
    Effect.sync(() => {
      const user = users.get(request.username)
      return request._tag === "Password" && user?.password === Redacted.value(request.password)
        // What is said here reaches policies, and pods where the configuration says so.
        ? { ...accepted, metadata: { team: user.team } }
        : rejected
    })
})

// The application's own state: who is here, kept by a policy.
class Presence extends Context.Service<Presence, Ref.Ref<ReadonlyArray<string>>>()("app/Presence") {
  static readonly layer = Layer.effect(Presence, Ref.make<ReadonlyArray<string>>([]))
}

const notePresence: Policy<never, Presence> = (next) => (connection) =>
  Effect.gen(function*() {
    const presence = yield* Presence
    const name = `${connection.username} (${connection.metadata["team"]})`
    const came = Ref.update(presence, (names) => [...names, name])
    const went = Ref.update(presence, (names) => names.toSpliced(names.indexOf(name), 1))
    yield* Effect.acquireUseRelease(came, () => next(connection), () => went)
  })

const page = HttpRouter.serve(
  HttpRouter.add(
    "GET",
    "/",
    Effect.map(Presence.use((presence) => Ref.get(presence)), (names) => HttpServerResponse.text(names.join("\n")))
  ),
  { disableLogger: true }
)

const kuberun = Layer.unwrap(Effect.gen(function*() {
  const config = yield* decodeConfig({
    pod: { exposeAuthMetadataAsEnv: { team: "TEAM" }, exposeAuthMetadataAsLabels: { team: "example.com/team" } }
  })
  return Kuberun.layer(config).pipe(Layer.provide(Kubernetes.layer({ _tag: "KubeconfigFile" })))
}))

const ssh = Layer.effectDiscard(Effect.gen(function*() {
  const { handle } = yield* Kuberun
  const { privateKey } = yield* Ssh.generateKey("example")
  const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [privateKey] })
  yield* Effect.forkScoped(server.run(notePresence(handle)))
  const web = HttpServer.formatAddress((yield* HttpServer.HttpServer).address)
  yield* Effect.logInfo(`ssh -p ${server.address.port} alice@127.0.0.1, who is there: ${web}`)
}))

const application = Layer.mergeAll(page, ssh).pipe(
  Layer.provide([kuberun, authenticator, Presence.layer]),
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

Effect.runFork(Layer.launch(application))
