import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Kubernetes from "@kuberun/kubernetes"
import { make } from "@kuberun/minicluster"
import * as Ssh from "@kuberun/ssh"
import { OpenSsh } from "@kuberun/testkit"
import { Context, Effect, FileSystem, Layer, Redacted } from "effect"
import {
  accepted,
  allowCommand,
  apply,
  Authenticator,
  decodeConfig,
  forceCommand,
  idleTimeout,
  Kuberun,
  maxSessions,
  type Policy
} from "kuberun"

const everyone = Authenticator.of({ methods: ["password"], authenticate: () => Effect.succeed(accepted) })

/** A server whose users get pods behind these policies, and a login to it. */
const serve = Effect.fnUntraced(function*(...policies: ReadonlyArray<Policy>) {
  const folder = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped({ prefix: "kuberun-" }))
  const { kubeconfig } = yield* make()
  const config = yield* decodeConfig({
    pod: {
      podSpec: { containers: [{ name: "shell", image: "busybox" }], terminationGracePeriodSeconds: 1 },
      subsystems: { count: "/usr/bin/wc" },
      shellCommand: ["/bin/sh"]
    }
  })
  const services = yield* Layer.build(
    Kuberun.layer(config).pipe(
      Layer.provide(Kubernetes.layer({ _tag: "Kubeconfig", text: Redacted.make(kubeconfig) }))
    )
  )
  const { privateKey } = yield* Ssh.generateKey("test")
  const server = yield* Ssh.make({ host: "127.0.0.1", port: 0, hostKeys: [privateKey] })
  yield* Effect.forkScoped(server.run(apply(Context.get(services, Kuberun).handle, ...policies)))
  return { port: server.address.port, folder } satisfies OpenSsh.Login
})

describe("policies in front of pods, seen by ssh's user", () => {
  it.layer(Layer.merge(Layer.succeed(Authenticator, everyone), NodeServices.layer), { excludeTestServices: true })(
    (it) => {
      it.effect("forceCommand runs in the place of everything, and is told of what was asked for", () =>
        Effect.scoped(Effect.gen(function*() {
          const login = yield* serve(
            forceCommand("echo \"for: $SSH_ORIGINAL_COMMAND\"; exit 4", { subsystems: { count: "/usr/bin/wc -c" } })
          )
          const command = yield* OpenSsh.run(login, "cat /etc/passwd; $(id)")
          assert.deepStrictEqual(command, { code: 4, stdout: "for: cat /etc/passwd; $(id)\n", stderr: "" })
          const shell = yield* OpenSsh.run(login, undefined, "id\n")
          assert.deepStrictEqual(shell, { code: 4, stdout: "for: \n", stderr: "" })
          const subsystem = yield* OpenSsh.run({ ...login, options: ["-s"] }, "count", "abc")
          assert.deepStrictEqual([subsystem.code, subsystem.stdout], [4, "for: /usr/bin/wc -c\n"])
        })))

      it.effect("maxSessions refuses one too many on a connection, and makes room again", () =>
        Effect.scoped(Effect.gen(function*() {
          const login = yield* serve(maxSessions(2))
          const first = yield* OpenSsh.start(
            {
              ...login,
              options: ["-M", "-S", "shared"]
            },
            "echo in; cat",
            "open"
          )
          yield* first.stdoutMatch(/in/)
          const onSame = { ...login, options: ["-S", "shared"] }
          const second = yield* OpenSsh.start(onSame, "echo in; cat", "open")
          yield* second.stdoutMatch(/in/)
          const third = yield* OpenSsh.run(onSame, "echo in")
          assert.strictEqual(third.code, 255)
          assert.match(third.stderr, /^kuberun: [^\n]*2[^\n]*\n$/)
          yield* second.endInput
          assert.strictEqual(yield* second.exit, 0)
          for (const stdout of ["in\n", "in\n", "in\n"]) {
            assert.deepStrictEqual(yield* OpenSsh.run(onSame, "echo in"), { code: 0, stdout, stderr: "" })
          }
          yield* first.endInput
          assert.strictEqual(yield* first.exit, 0)
        })))

      it.effect("idleTimeout ends a silent connection, and allowCommand says what is not allowed", () =>
        Effect.scoped(Effect.gen(function*() {
          const login = yield* serve(idleTimeout({ after: "2 seconds" }), allowCommand(["sleep *", "echo *"]))
          assert.strictEqual((yield* OpenSsh.run(login, "echo in")).stdout, "in\n")
          const refused = yield* OpenSsh.run(login, "id")
          assert.deepStrictEqual([refused.code, refused.stdout], [255, ""])
          assert.match(refused.stderr, /^kuberun: The command "id" is not allowed here\.\n$/)
          const silent = yield* OpenSsh.run(login, "sleep 1000")
          assert.strictEqual(silent.code, 255)
          assert.match(silent.stderr, /^kuberun: [^\n]*so this session ends\.\n$/)
        })))
    }
  )
})
