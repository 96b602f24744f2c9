// Policies of one's own: wrappers around the handler of a connection, composed with those that come with kuberun. With
// KUBECONFIG naming a cluster:
//
//   npx node --conditions=@kuberun/source packages/service/examples/custom-policy.ts
import * as Kubernetes from "@kuberun/kubernetes"
import * as Ssh from "@kuberun/ssh"
import { Effect, Layer } from "effect"
import {
  accepted,
  apply,
  Authenticator,
  decodeConfig,
  idleTimeout,
  Kuberun,
  mapRequests,
  maxSessions,
  type Policy
} from "kuberun"

// Logs each command with its user, and lets guests have no shell.
const guests: Policy = mapRequests((request, { connection, refuse }) =>
  Effect.gen(function*() {
    if (request._tag === "Exec") yield* Effect.logInfo(`${connection.username} runs: ${request.command}`)
    if (request._tag === "Shell" && connection.username.startsWith("guest-")) {
      return yield* refuse("Guests have no shell here: say a command, such as ssh … uptime.")
    }
    return [request]
  })
)

// Only so many connections at once: a wrapper can also end a connection before the handler sees it.
const atMost = (limit: number): Policy => (next) => {
  let open = 0
  const leave = Effect.sync(() => open -= 1)
  return (connection) =>
    Effect.suspend(() =>
      open++ < limit ? next(connection) : Effect.logInfo(`full: ${connection.username} is sent away`)
    )
      .pipe(Effect.ensuring(leave))
}

const program = Effect.gen(function*() {
  const config = yield* decodeConfig({ timeout: "30s" })
  const kuberun = Kuberun.layer(config).pipe(Layer.provide(Kubernetes.layer({ _tag: "KubeconfigFile" })))
  const { privateKey } = yield* Ssh.generateKey("example")
  const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [privateKey] })
  yield* Effect.logInfo(`ssh -p ${server.address.port} guest-1@127.0.0.1`)
  const idle = idleTimeout({ after: "30 minutes", warning: "1 minute" })
  return yield* Kuberun.use(({ handle }) => server.run(apply(handle, atMost(50), idle, maxSessions(4), guests))).pipe(
    Effect.provide(kuberun)
  )
})

// Whoever comes is let in: put your own decision here.
const everyone = Layer.succeed(Authenticator, { methods: ["password"], authenticate: () => Effect.succeed(accepted) })

Effect.runFork(Effect.scoped(program).pipe(Effect.provide(everyone)))
