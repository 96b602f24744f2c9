// A warm pool for a classroom: thirty pupils log in at nine, and nobody waits for a pod. With KUBECONFIG naming a
// cluster:
//
//   npx node --conditions=@kuberun/source packages/service/examples/classroom.ts
import * as Kubernetes from "@kuberun/kubernetes"
import * as Ssh from "@kuberun/ssh"
import { Effect, Layer } from "effect"
import { accepted, apply, Authenticator, decodeConfig, Kuberun, maxLifetime, maxSessions } from "kuberun"

// How many pods wait: SEATS=30 for a class of thirty, and two more for its teachers, whose pods nobody can use up.
const seats = Number(process.env["SEATS"] ?? 3)

const program = Effect.gen(function*() {
  const config = yield* decodeConfig({
    instance: "classroom",
    pod: { podSpec: { containers: [{ name: "shell", image: "busybox" }] }, shellCommand: ["/bin/sh"] },
    pool: { size: seats, maxAge: "8h", classes: [{ name: "teachers", users: ["teacher-*"], size: 2 }] },
    timeout: "60s"
  })
  // Filling the pool is a burst of calls, of which a kubeconfig says nothing: no more than so many a second.
  const limit = { qps: 50, burst: 100 }
  const kuberun = Kuberun.layer(config).pipe(Layer.provide(Kubernetes.layer({ _tag: "KubeconfigFile" }, { limit })))
  const { privateKey } = yield* Ssh.generateKey("classroom")
  const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [privateKey] })
  yield* Effect.logInfo(`ssh -p ${server.address.port} pupil-1@127.0.0.1`)
  // A lesson lasts two hours; a pupil's second window is fine, the tenth is not.
  const lesson = maxLifetime({ after: "2 hours", warning: "5 minutes" })
  return yield* Kuberun.use(({ handle }) => server.run(apply(handle, lesson, maxSessions(4)))).pipe(
    Effect.provide(kuberun)
  )
})

// Whoever comes is let in: put your own decision here, and let nobody be a teacher who is not.
const everyone = Layer.succeed(Authenticator, { methods: ["password"], authenticate: () => Effect.succeed(accepted) })

Effect.runFork(Effect.scoped(program).pipe(Effect.provide(everyone)))
