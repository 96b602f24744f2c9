import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeConfig } from "kuberun"

const linesOf = (input: unknown) => Effect.map(Effect.flip(decodeConfig(input)), (error) => error.message.split("\n"))

const shell = { name: "shell" }
const podOf = (spec: object, more: object = {}) => ({ pod: { ...more, podSpec: { containers: [shell], ...spec } } })

describe("keys that are right by themselves", () => {
  it.effect("are refused where they contradict each other, each with its path, its value and what is allowed", () =>
    Effect.gen(function*() {
      for (
        const [input, expected] of [
          [{ pod: { mode: "persistent" } }, "pod.name: is left out: expected the pod's name, which mode"],
          [{ pod: { createMissingPods: true } }, "pod.createMissingPods: true is not allowed: expected false"],
          [
            podOf({ restartPolicy: "Always" }, { mode: "session" }),
            "pod.podSpec.restartPolicy: a text is not allowed: expected Never, or nothing, with mode session"
          ],
          [{ pod: { claim: { mountPath: "/home" } } }, "pod.claim: a map is not allowed: expected no claim"],
          ...["lots", "-5Gi", "0", "5 Gi", "0.0Gi"].map((storage) =>
            [
              { pod: { mode: "user", claim: { mountPath: "/home", storage } } },
              `pod.claim.storage: "${storage}" is not allowed: expected a Kubernetes quantity above 0 such as "5Gi"`
            ] as const
          ),
          [
            { pod: { mode: "user", claim: { mountPath: "/home/{{username}}" } } },
            "pod.claim.mountPath: \"/home/{{username}}\" is not allowed: expected no placeholder"
          ],
          [
            { pod: { shellCommand: ["/bin/login", "{{ username }}"] } },
            "pod.shellCommand[1]: \"{{ username }}\" is not allowed: expected no placeholder"
          ],
          [
            { pod: { subsystems: { sftp: "/home/{{username}}/sftp" } } },
            "pod.subsystems.sftp: \"/home/{{username}}/sftp\" is not allowed: expected no placeholder"
          ],
          [
            { pod: { idleTimeout: "0s" } },
            "pod.idleTimeout: \"0s\" is not allowed: expected a duration longer than 0s"
          ],
          [{ pod: { idleTimeout: Infinity } }, "pod.idleTimeout: Infinity is not allowed: expected"],
          [
            { pool: { classes: [{ name: "a", users: ["x"], size: 1 }, { name: "a", users: ["y"], size: 2 }] } },
            "pool.classes[1].name: \"a\" is not allowed: expected a name that no other class has"
          ],
          [
            { pool: { size: 5, classes: [{ name: "default", users: ["x"], size: 1 }] } },
            "pool.classes[0].name: \"default\" is not allowed: expected another name"
          ],
          [{ pod: { linger: "1m" } }, "pod.linger: \"1m\" is not allowed: expected 0s with mode connection"],
          [
            { pod: { consoleContainer: "other" } },
            "pod.consoleContainer: \"other\" is not allowed: expected the name of a container: shell"
          ],
          [
            podOf({ containers: [shell, { name: "b" }] }, { consoleContainer: "b", consoleContainerNumber: 1 }),
            "pod.consoleContainerNumber: 1 is not allowed: expected the container by consoleContainer or by its number"
          ],
          [
            { pod: { exposeAuthMetadataAsEnv: { team: "1-TEAM" } } },
            "pod.exposeAuthMetadataAsEnv.team: \"1-TEAM\" is not allowed: expected the name of a variable"
          ],
          [{ pod: { labels: { "a b": "c" } } }, "pod.labels.a b: \"c\" is not allowed: \"a b\" is no valid key"],
          [
            podOf({ hostname: "{{username}}" }),
            "pod.podSpec.hostname: a text is not allowed: placeholders may stand in values of env"
          ],
          [
            { pool: { size: 1 }, pod: { mode: "user" } },
            "pool.size: 1 is not allowed: expected no pods in waiting with mode user"
          ],
          [
            { pool: { classes: [{ name: "a", users: ["*"], size: 1 }] }, pod: { mode: "session" } },
            "pool.classes: a list is not allowed: expected no pods in waiting with mode session"
          ],
          [
            {
              pool: { size: 1 },
              ...podOf({ containers: [{ ...shell, env: [{ name: "A", value: "{{username}}" }] }] })
            },
            "pod.podSpec.containers[0].env[0].value: a text is not allowed: expected no placeholder with a pool"
          ]
        ] as const
      ) {
        const lines = yield* linesOf(input)
        assert.lengthOf(lines, 1, lines.join("\n"))
        assert.isTrue(lines[0]?.startsWith(expected), lines[0])
      }
    }))

  it.effect("are taken where they go together", () =>
    Effect.gen(function*() {
      for (
        const input of [
          { pod: { mode: "persistent", name: "desk-{{username}}", createMissingPods: true } },
          { pod: { name: "desk" } },
          { pod: { shellCommand: ["/bin/sh", "-c", "exec docker inspect -f {{.Id}}"] } },
          ...["5Gi", "1", "0.5Gi", ".5Ti", "1e9", "+3G", "100M"].map((storage) => ({
            pod: { mode: "user", claim: { mountPath: "/home", storage } }
          })),
          podOf({ restartPolicy: "Never" }, { mode: "session" }),
          podOf({ restartPolicy: "Always" }),
          { pod: { mode: "user", linger: "1m", claim: { mountPath: "/home" } } },
          podOf({ containers: [shell, { name: "b" }] }, { consoleContainer: "b" }),
          { pool: { size: 3 }, pod: { labels: { user: "{{username}}" } } },
          { pool: { size: 0, classes: [{ name: "a", users: ["x"], size: 0 }] }, pod: { mode: "user" } }
        ]
      ) yield* decodeConfig(input)
    }))

  it.effect("are told together with keys that are wrong by themselves, and no fault is made up from those", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf({
        connection: { qps: 0 },
        pod: {
          namespace: "Upper",
          mode: "persistent",
          createMissingPods: true,
          consoleContainer: "b",
          linger: "1m",
          podSpec: { contaners: [{ name: "b" }] }
        },
        pool: { size: 2 }
      })
      assert.sameMembers(lines.map((line) => line.split(": ")[0]), [
        "connection.qps",
        "pod.namespace",
        "pod.name",
        "pod.linger",
        "pod.podSpec.contaners",
        "pod.podSpec.containers"
      ])
      const pooled = yield* linesOf({ timeout: "soon", pod: { mode: "user" }, pool: { size: 2 } })
      assert.sameMembers(pooled.map((line) => line.split(": ")[0]), ["timeout", "pool.size"])
      const one = { name: "a", users: ["x"], size: 1 }
      const classes = yield* linesOf({ pool: { classes: [one, one], size: -1 }, pod: { mode: "user" } })
      assert.sameMembers(classes.map((line) => line.split(": ")[0]), [
        "pool.size",
        "pool.classes[1].name",
        "pool.classes"
      ])
    }))
})
