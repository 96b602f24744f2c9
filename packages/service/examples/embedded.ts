import * as Kubernetes from "@kuberun/kubernetes"
import * as Ssh from "@kuberun/ssh"
import { Effect, Layer } from "effect"
import { accepted, Authenticator, decodeConfig, Kuberun } from "kuberun"

const program = Effect.gen(function*() {
  const config = yield* decodeConfig({ pod: { namespace: "default" }, timeout: "30s" })
  const kuberun = Kuberun.layer(config).pipe(Layer.provide(Kubernetes.layer({ _tag: "KubeconfigFile" })))
  const hostKey = yield* Ssh.generateKey("embedded")
  const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [hostKey.privateKey] })
  yield* Effect.logInfo(`ssh -p ${server.address.port} anyone@127.0.0.1`)
  return yield* Kuberun.use(({ handle }) => server.run(handle)).pipe(Effect.provide(kuberun))
})

// Whoever comes is let in: put your own decision here.
const everyone = Layer.succeed(Authenticator, { methods: ["password"], authenticate: () => Effect.succeed(accepted) })

Effect.runFork(Effect.scoped(program).pipe(Effect.provide(everyone)))
