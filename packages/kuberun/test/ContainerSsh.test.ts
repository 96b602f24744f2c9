import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { callTimeout, decodeConfig } from "kuberun"

const linesOf = (input: unknown) => Effect.map(Effect.flip(decodeConfig(input)), (error) => error.message.split("\n"))

describe("a file of ContainerSSH's", () => {
  it.effect("is taken with all keys of its kubernetes backend", () =>
    Effect.gen(function*() {
      const config = yield* decodeConfig({
        backend: "kubernetes",
        kubernetes: {
          connection: { host: "https://k8s.example.com", bearerTokenFile: "/token", qps: 50, burst: 100 },
          pod: {
            metadata: {
              namespace: "guests",
              name: "desk-{{username}}",
              generateName: "desk-",
              labels: { a: "b" },
              annotations: { c: "d" }
            },
            spec: { containers: [{ name: "proxy" }, { name: "shell", image: "busybox" }] },
            consoleContainerNumber: 1,
            subsystems: { sftp: "/sftp" },
            shellCommand: ["/bin/sh"],
            idleCommand: ["/bin/sleep", "infinity"],
            agentPath: "/agent",
            disableAgent: true,
            mode: "persistent",
            createMissingPods: true,
            exposeAuthMetadataAsEnv: { team: "TEAM" },
            exposeAuthMetadataAsLabels: { team: "team" },
            exposeAuthMetadataAsAnnotations: { mail: "mail" }
          },
          timeouts: { podStart: "90s", podStop: "30s", commandStart: "20s", signal: "5s", window: "4s", http: "10s" }
        },
        instance: "lab"
      })
      const ours = yield* decodeConfig({
        connection: { host: "https://k8s.example.com", bearerTokenFile: "/token", qps: 50, burst: 100 },
        pod: {
          namespace: "guests",
          name: "desk-{{username}}",
          namePrefix: "desk-",
          labels: { a: "b" },
          annotations: { c: "d" },
          podSpec: { containers: [{ name: "proxy" }, { name: "shell", image: "busybox" }] },
          consoleContainerNumber: 1,
          subsystems: { sftp: "/sftp" },
          shellCommand: ["/bin/sh"],
          idleCommand: ["/bin/sleep", "infinity"],
          agentPath: "/agent",
          disableAgent: true,
          mode: "persistent",
          createMissingPods: true,
          exposeAuthMetadataAsEnv: { team: "TEAM" },
          exposeAuthMetadataAsLabels: { team: "team" },
          exposeAuthMetadataAsAnnotations: { mail: "mail" }
        },
        timeouts: { podStart: "90s", podStop: "30s", commandStart: "20s", signal: "5s", window: "4s", http: "10s" },
        instance: "lab"
      })
      assert.deepStrictEqual(config, ours)
      assert.isTrue(Duration.equals(callTimeout(config.connection), Duration.seconds(10)))
    }))

  it.effect("has ContainerSSH's defaults where they are others than ours", () =>
    Effect.gen(function*() {
      for (const file of [{ kubernetes: {} }, { backend: "kubernetes" }, { kubernetes: { pod: { metadata: {} } } }]) {
        const { connection, pod } = yield* decodeConfig(file)
        assert.isFalse(pod.disableAgent)
        assert.strictEqual(pod.namePrefix, "containerssh-")
        assert.strictEqual(pod.namespace, "default")
        assert.isTrue(Duration.equals(callTimeout(connection), Duration.seconds(15)))
      }
      assert.isTrue((yield* decodeConfig({})).pod.disableAgent)
    }))

  it.effect("has its faults told by the paths of its own keys, all at once", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf({
        kubernetes: {
          connection: { qps: 0 },
          pod: {
            metadata: { namespace: "Upper", labels: { "kuberun.dev/x": "y" } },
            spec: { containers: [{ nam: "a", env: [{ name: "S", value: 271828 }] }] },
            shellCommand: "sh",
            createMissingPods: true
          },
          timeouts: { podStart: "soon", http: "0s" }
        },
        pool: { size: -1 }
      })
      assert.sameMembers(lines.map((line) => line.split(": ")[0]), [
        "kubernetes.connection.qps",
        "kubernetes.pod.metadata.namespace",
        "kubernetes.pod.metadata.labels.kuberun.dev/x",
        "kubernetes.pod.spec.containers[0].nam",
        "kubernetes.pod.spec.containers[0].name",
        "kubernetes.pod.spec.containers[0].env[0].value",
        "kubernetes.pod.shellCommand",
        "kubernetes.pod.createMissingPods",
        "kubernetes.timeouts.podStart",
        "kubernetes.timeouts.http",
        "pool.size"
      ])
      assert.include(lines.join("\n"), "\"Upper\" is not allowed")
      assert.notInclude(lines.join("\n"), "271828")
    }))

  it.effect("with anything that cannot be honoured is refused by its name, with what there is instead", () =>
    Effect.gen(function*() {
      const sections = ["ssh", "auth", "security", "log", "metrics", "audit", "health", "configserver", "docker"]
      const lines = yield* linesOf({
        backend: "docker",
        ...Object.fromEntries(sections.map((section) => [section, { password: "hunter2" }])),
        pod: {},
        nonsense: 1,
        kubernetes: {
          pod: { metadata: { finalizers: [] }, podSpec: {}, namespace: "x", nonsense: 1 },
          timeout: "5s"
        }
      })
      const found = new Map(lines.map((line) => [line.split(": ")[0], line]))
      for (const section of [...sections, "backend", "pod", "kubernetes.pod.metadata.finalizers"]) {
        assert.include(found.get(section), `${section}: cannot be honoured: `)
        found.delete(section)
      }
      assert.include(found.get("kubernetes.pod.podSpec"), "it is spec here")
      assert.include(found.get("kubernetes.pod.namespace"), "it is metadata.namespace here")
      assert.include(found.get("kubernetes.timeout"), "allowed here: connection, pod, timeouts")
      assert.include(found.get("nonsense"), "allowed here: kubernetes, backend, pool, instance")
      assert.include(found.get("kubernetes.pod.nonsense"), "allowed here: spec, metadata, mode")
      assert.strictEqual(found.size, 5)
      assert.notInclude(lines.join("\n"), "hunter2")
    }))

  it.effect("that has something else where a map belongs is told so, and shows none of it", () =>
    Effect.gen(function*() {
      for (
        const file of [
          { kubernetes: "password: hunter2" },
          { kubernetes: { pod: "password: hunter2" } },
          { kubernetes: { pod: { metadata: "password: hunter2" } } },
          { kubernetes: { connection: "password: hunter2" } }
        ]
      ) {
        const lines = yield* linesOf(file)
        assert.lengthOf(lines, 1)
        assert.include(lines[0], "expected")
        assert.notInclude(lines[0], "hunter2")
      }
    }))
})
