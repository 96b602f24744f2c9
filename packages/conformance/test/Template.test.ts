import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import ssh2 from "ssh2"
import { eventually, type Service, start } from "./support/Service.ts"
import { run } from "./support/SshClient.ts"

/** ssh2's client, which unlike ssh(1) takes every user name. */
const connectAs = Effect.fn(function*({ folder, process }: Service, username: string) {
  const [, port = ""] = yield* process.stdoutMatch(/^ready: ssh .*-p (\d+) /m)
  const client = new ssh2.Client()
  yield* Effect.addFinalizer(() => Effect.sync(() => client.destroy()))
  yield* Effect.callback<void>((resume) => {
    client.on("ready", () => resume(Effect.void)).on("error", (error) => resume(Effect.die(error)))
    const privateKey = readFileSync(join(folder, ".kuberun/client_key"))
    client.connect({ host: "127.0.0.1", port: Number(port), username, privateKey })
  })
  return client
})

const container = { name: "shell", image: process.env["KUBERUN_TEST_IMAGE"] ?? "busybox" }

describe("a pod's template", () => {
  it.live(
    "puts a user's name where it says so, whatever name that is, and Kubernetes takes the pod",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({
          pod: {
            namePrefix: "desk-",
            labels: { user: "{{username}}", stage: "test" },
            annotations: { note: "desk of {{ username }} at {{remoteAddress}}" },
            podSpec: {
              containers: [{
                ...container,
                env: [
                  { name: "SECRET", value: "not to be seen" },
                  { name: "WHO", value: "{{username}}" },
                  { name: "GREETING", value: "hello $(WHO), ${{username}}" }
                ]
              }],
              initContainers: [{
                ...container,
                name: "init",
                command: ["sh", "-c", "test -n \"$WHO\""],
                env: [{ name: "WHO", value: "{{username}}" }]
              }],
              terminationGracePeriodSeconds: 1
            }
          }
        })
        for (
          const user of [
            "alice",
            "Alice@Example.com",
            "a$(SECRET)",
            "(SECRET)",
            "$$(SECRET)",
            "../../x",
            "{{connectionId}}",
            "\u65e5\u672c e\u0301",
            "x".repeat(100)
          ]
        ) {
          const client = yield* connectAs(service, user)
          const program = yield* run(client, "printf '%s\\n' \"$WHO\" \"$GREETING\"; read line")
          yield* program.says(/\n.*\n/)
          const seen = yield* service.run(
            `kubectl get pods -l stage=test -o jsonpath='{range .items[*]}{.metadata.annotations.note}{"\\n"}{.metadata.labels.user}{"\\n"}{.metadata.name}{"\\n"}{end}'`
          )
          program.channel.end("\n")
          const { code, out } = yield* program.ended
          client.end()
          assert.strictEqual(code, 0)
          assert.strictEqual(out, `${user}\nhello ${user}, $${user}\n`)
          const [note, label, name] = seen.out.split("\n")
          assert.strictEqual(note, `desk of ${user} at 127.0.0.1`)
          assert.match(label ?? "", user === "alice" ? /^alice$/ : /^[A-Za-z0-9].*-[a-z0-9]{20}$/)
          assert.match(name ?? "", /^desk-[a-z0-9]{20}$/)
          yield* service.podsGone
        }
      })),
    120_000
  )

  it.live(
    "may ask for what is not there yet: the user is told, and served when it appears",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const service = yield* start({
          pod: {
            podSpec: {
              containers: [{
                ...container,
                env: [{ name: "TOKEN", valueFrom: { secretKeyRef: { name: "late", key: "token" } } }]
              }],
              terminationGracePeriodSeconds: 1
            }
          }
        })
        const client = yield* service.script("exec script -qec \"$SSH -tt 'echo got \\$TOKEN'\" /dev/null")
        yield* client.stdoutMatch(/container shell cannot be started yet \(secret "late" not found\)/)
        yield* service.run("kubectl create secret generic late --from-literal=token=xyz")
        assert.strictEqual(yield* client.exit, 0)
        assert.match(yield* client.stdout, /got xyz/)
        yield* eventually(service.pods, (pods) => pods.length === 0)
      })),
    60_000
  )
})
