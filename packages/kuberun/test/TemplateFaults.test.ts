import { assert, describe, it } from "@effect/vitest"
import { defaultConfig, type PodConfig } from "kuberun"
import {
  claimFaults,
  metadataFaults,
  perUserParts,
  placeholderFaults,
  type TemplateFault
} from "../src/template/TemplateFaults.ts"
import type { ConfigPath } from "../src/template/TemplatePlaces.ts"

/** A configuration's pod, with its containers' further fields. */
const pod = (changes: Partial<PodConfig>): PodConfig => ({ ...defaultConfig.pod, ...changes })

const container = (fields: Readonly<Record<string, unknown>>): PodConfig =>
  pod({ podSpec: { containers: [{ name: "shell", ...fields }] } })

const user = "{{username}}"

const shell = [{ name: "shell" }] as const

const dotted = (path: ConfigPath) => path.join(".")
const paths = (faults: ReadonlyArray<TemplateFault>) => faults.map(({ path }) => dotted(path))

describe("placeholders", () => {
  it("may stand in names, env, subPath and claimName, of init containers too", () => {
    const fields = { env: [{ name: "A", value: user }], volumeMounts: [{ name: "v", subPath: `homes/${user}` }] }
    const template = pod({
      name: `desk-${user}`,
      labels: { user, team: "{{metadata.team}}" },
      annotations: { note: `of ${user}` },
      podSpec: {
        containers: [{ name: "shell", ...fields }],
        initContainers: [{ name: "init", ...fields }],
        volumes: [{ name: "v", persistentVolumeClaim: { claimName: `home-${user}` } }]
      }
    })
    assert.deepStrictEqual(placeholderFaults(template), [])
    assert.deepStrictEqual(metadataFaults(template), [])
    assert.deepStrictEqual(perUserParts(template).map(dotted), [
      "podSpec.containers.0.env.0.value",
      "podSpec.containers.0.volumeMounts.0.subPath",
      "podSpec.initContainers.0.env.0.value",
      "podSpec.initContainers.0.volumeMounts.0.subPath",
      "podSpec.volumes.0.persistentVolumeClaim.claimName"
    ])
  })

  for (
    const [where, template, path] of [
      ["an image", container({ image: user }), "podSpec.containers.0.image"],
      ["a command", container({ command: ["echo", user] }), "podSpec.containers.0.command.1"],
      ["a container's name", pod({ podSpec: { containers: [{ name: user }] } }), "podSpec.containers.0.name"],
      ["a variable's name", container({ env: [{ name: user, value: "a" }] }), "podSpec.containers.0.env.0.name"],
      [
        "a secret's name",
        container({ env: [{ name: "A", valueFrom: { secretKeyRef: { name: user, key: "k" } } }] }),
        "podSpec.containers.0.env.0.valueFrom.secretKeyRef.name"
      ],
      [
        "an expression for a path",
        container({ volumeMounts: [{ name: "v", subPathExpr: user }] }),
        "podSpec.containers.0.volumeMounts.0.subPathExpr"
      ],
      [
        "a path of the node",
        pod({ podSpec: { containers: shell, volumes: [{ name: "v", hostPath: { path: `/homes/${user}` } }] } }),
        "podSpec.volumes.0.hostPath.path"
      ],
      ["a key", pod({ podSpec: { containers: shell, nodeSelector: { [user]: "a" } } }), `podSpec.nodeSelector.${user}`]
    ] as const
  ) {
    it(`may not stand in ${where}`, () => assert.deepStrictEqual(paths(placeholderFaults(template)), [path]))
  }

  it("elsewhere are no affair of ours where they are another's syntax", () => {
    assert.deepStrictEqual(
      placeholderFaults(container({ command: ["docker", "ps", "--format", "{{.Names}}"], workingDir: "{{" })),
      []
    )
  })

  it("of unknown names, or without an end, are told where they may stand", () => {
    const faults = placeholderFaults(container({
      env: [{ name: "A", value: "{{user}}" }, { name: "B", value: "{{username" }],
      volumeMounts: [{ name: "v", subPath: "{{metadata.}}" }]
    }))
    assert.lengthOf(faults, 3)
    assert.match(faults[0]?.message ?? "", /^\{\{user\}\} is no placeholder; expected \{\{username\}\}/)
    assert.lengthOf(metadataFaults(pod({ labels: { a: "{{user}}" }, annotations: { b: "{{" } })), 2)
  })

  it("in a name or path stand among what fits there", () => {
    for (
      const name of ["Desk-{{username}}", "-{{username}}", "desk.{{username}}", "{{username}}-", "a b{{username}}"]
    ) {
      assert.deepStrictEqual(paths(placeholderFaults(pod({ name }))), ["name"], name)
    }
    for (const subPath of ["/{{username}}", "../{{username}}", "a/../{{username}}", "{{username}}/.."]) {
      const template = container({ volumeMounts: [{ name: "v", subPath }] })
      assert.deepStrictEqual(
        paths(placeholderFaults(template)),
        ["podSpec.containers.0.volumeMounts.0.subPath"],
        subPath
      )
    }
    const claims = pod({
      podSpec: {
        containers: shell,
        volumes: [{ name: "v", persistentVolumeClaim: { claimName: "Home_{{username}}" } }]
      }
    })
    assert.lengthOf(placeholderFaults(claims), 1)
  })

  it("do not choose variables", () => {
    const [fault] = placeholderFaults(container({ env: [{ name: "A", value: "$(SECRET_{{username}})" }] }))
    assert.match(fault?.message ?? "", /inside of \$\(…\)/)
  })
})

describe("a variable with a placeholder", () => {
  const env = [{ name: "WHO", value: user }, { name: "HELLO", value: "hello $(WHO)" }, { name: "HOME", value: "/root" }]

  it("is an argument like any other", () => {
    assert.deepStrictEqual(placeholderFaults(container({ env, command: ["greet", "$(WHO)", "-c", "$(HOME)"] })), [])
  })

  it("is not put into a script by Kubernetes, whichever way it gets there", () => {
    for (
      const [fields, path] of [
        [{ command: ["sh", "-c", "greet $(WHO)"] }, "podSpec.containers.0.command.2"],
        [{ command: ["bash"], args: ["-lc", "greet $(HELLO)"] }, "podSpec.containers.0.args.1"],
        [{ command: ["sh", "-c"], args: ["greet $(WHO)"] }, "podSpec.containers.0.args.0"]
      ] as const
    ) {
      const faults = placeholderFaults(container({ env, ...fields }))
      assert.deepStrictEqual(paths(faults), [path])
      assert.match(faults[0]?.message ?? "", /use the shell's own "\$(WHO|HELLO)" in quotes/)
    }
    assert.deepStrictEqual(placeholderFaults(container({ env, command: ["sh", "-c", "greet \"$WHO\" $$(WHO)"] })), [])
    assert.deepStrictEqual(
      paths(placeholderFaults({ ...container({ env }), idleCommand: ["sh", "-c", "greet $(WHO)"] })),
      ["idleCommand.2"]
    )
  })

  it("is not put into a path by Kubernetes, where it could be several segments", () => {
    const mount = (subPathExpr: string) => container({ env, volumeMounts: [{ name: "v", subPathExpr }] })
    assert.lengthOf(placeholderFaults(mount("homes/$(HELLO)")), 1)
    assert.lengthOf(placeholderFaults(mount("homes/$(HOME)")), 0)
  })
})

describe("labels and annotations of the configuration", () => {
  it("cannot be ours, by any of the keys", () => {
    for (
      const key of [
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/instance",
        "containerssh_username",
        "kuberun.dev/mode",
        "kuberun.dev/anything",
        "holder.kuberun.dev/0123"
      ]
    ) {
      const template = pod({
        labels: { [key]: "a" },
        annotations: { [key]: "a" },
        exposeAuthMetadataAsLabels: { team: key },
        exposeAuthMetadataAsAnnotations: { team: key }
      })
      const faults = metadataFaults(template)
      assert.deepStrictEqual(paths(faults), [
        `labels.${key}`,
        "exposeAuthMetadataAsLabels.team",
        `annotations.${key}`,
        "exposeAuthMetadataAsAnnotations.team"
      ])
      assert.match(faults[0]?.message ?? "", /is set by kuberun itself/)
    }
  })

  it("have keys that Kubernetes takes", () => {
    const good = ["team", "example.com/team", "A_b.c-9", "x".repeat(63)]
    assert.deepStrictEqual(metadataFaults(pod({ labels: Object.fromEntries(good.map((key) => [key, "a"])) })), [])
    for (const key of ["", "a/b/c", "/a", "a/", "-a", "a b", "Example.com/a", "x".repeat(64), "é", "a/-"]) {
      assert.lengthOf(metadataFaults(pod({ annotations: { [key]: "a" } })), 1, key)
      assert.lengthOf(metadataFaults(pod({ exposeAuthMetadataAsLabels: { team: key } })), 1, key)
    }
  })

  it("have values that Kubernetes takes: a label's is not changed behind the back of who wrote it", () => {
    for (const value of ["a b", "-a", "x".repeat(64), "a/{{username}}"]) {
      assert.lengthOf(metadataFaults(pod({ labels: { a: value } })), 1, value)
      assert.lengthOf(metadataFaults(pod({ annotations: { a: value } })), 0, value)
    }
    assert.deepStrictEqual(metadataFaults(pod({ labels: { a: "", b: "team-{{metadata.team}}" } })), [])
  })

  it("are each set in one way", () => {
    const template = pod({
      labels: { team: "a" },
      exposeAuthMetadataAsLabels: { team: "team", group: "group", unit: "group" },
      annotations: { group: "a" }
    })
    assert.deepStrictEqual(paths(metadataFaults(template)), [
      "exposeAuthMetadataAsLabels.team",
      "exposeAuthMetadataAsLabels.unit"
    ])
  })
})

describe("the user's claim", () => {
  const claim = { storage: "1Gi", accessModes: ["ReadWriteOnce"], mountPath: "/home" } as const

  it("has its volume's name for itself", () => {
    const podSpec = { containers: [{ name: "shell" }], volumes: [{ name: "data" }, { name: "kuberun-claim" }] } as const
    assert.deepStrictEqual(paths(claimFaults(pod({ mode: "user", claim, podSpec }))), ["podSpec.volumes.1.name"])
    assert.deepStrictEqual(claimFaults(pod({ podSpec })), [])
  })

  it("is a part that differs from user to user", () => {
    assert.deepStrictEqual(perUserParts(pod({ mode: "user", claim })).map(dotted), ["claim"])
    assert.deepStrictEqual(perUserParts(pod({})), [])
  })
})
