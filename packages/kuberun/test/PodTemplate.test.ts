import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Identity } from "kuberun"
import { inspect } from "node:util"
import { instanceKey, managedBy, modeKey, ownerKeys, poolKey } from "../src/template/Labels.ts"
import { persistentPodName, userClaimName, userPodName } from "../src/template/PodName.ts"
import {
  isFrom,
  ownerPatch,
  podManifest,
  poolManifest,
  sessionManifest,
  userClaim
} from "../src/template/PodTemplate.ts"
import { isDnsLabel } from "../src/template/SafeText.ts"
import { config, expandReferences, isValidLabel, nastyText, owner } from "./TemplateDriver.ts"

/** A pod with everything that a configuration can say of it. */
const full = {
  mode: "user",
  namePrefix: "desk-",
  name: "{{username}}-desk",
  labels: { team: "{{metadata.team}}", stage: "test" },
  annotations: { note: "of {{username}}", kept: "{{\"{{\"}}" },
  exposeAuthMetadataAsLabels: { team: "example.com/team", none: "example.com/none" },
  exposeAuthMetadataAsAnnotations: { mail: "example.com/mail" },
  claim: { mountPath: "/home", storage: "2Gi", storageClassName: "fast" },
  consoleContainer: "shell",
  podSpec: {
    initContainers: [{
      name: "init",
      command: ["prepare"],
      env: [{ name: "WHO", value: "{{username}}" }],
      volumeMounts: [{ name: "homes", mountPath: "/h", subPath: "{{username}}" }]
    }],
    containers: [
      { name: "proxy", image: "envoy", command: ["envoy"] },
      {
        name: "shell",
        command: ["bash"],
        args: ["-l"],
        env: [{ name: "WHO", value: "{{username}}" }, { name: "KEPT", value: "$(WHO)" }, {
          name: "SECRET",
          valueFrom: { secretKeyRef: { name: "s", key: "k" } }
        }],
        volumeMounts: [{ name: "homes", mountPath: "/homes", subPath: "homes/{{username}}" }]
      }
    ],
    volumes: [
      { name: "homes", persistentVolumeClaim: { claimName: "homes-{{metadata.team}}", readOnly: false } },
      { name: "scratch", emptyDir: {} }
    ]
  }
}

const alice: Identity = { ...owner, username: "Alice", metadata: { team: "red & blue", mail: "alice@example.com" } }

describe("a pod's manifest", () => {
  it.effect("puts the idle command into the console container alone, and keeps all else of the user's podSpec", () =>
    Effect.gen(function*() {
      const proxy = { name: "proxy", image: "envoy", command: ["envoy"], ports: [{ containerPort: 80 }] }
      const console = {
        name: "console",
        image: "debian",
        command: ["bash"],
        args: ["-l"],
        env: [{ name: "A", value: "b" }]
      }
      const podSpec = {
        serviceAccountName: "guest",
        restartPolicy: "Never",
        nodeSelector: { disk: "ssd" },
        initContainers: [{ name: "prepare", image: "busybox", command: ["true"] }],
        containers: [proxy, console]
      }
      const settings = yield* config({ podSpec, consoleContainerNumber: 1, idleCommand: ["sleep", "1d"] })
      const { spec } = podManifest(settings, owner, "kuberun-x")
      assert.deepStrictEqual(spec, {
        ...podSpec,
        containers: [proxy, { ...console, command: ["sleep", "1d"] }]
      })
    }))

  it.effect("leaves the configuration as it is, frozen or not", () =>
    Effect.gen(function*() {
      const settings = yield* config()
      const before = inspect(settings.pod, { depth: null })
      const frozen = { ...settings, pod: deepFreeze(settings.pod) }
      podManifest(frozen, owner, "kuberun-x")
      podManifest(frozen, { ...owner, username: "other" }, "kuberun-y")
      assert.strictEqual(inspect(settings.pod, { depth: null }), before)
    }))

  it.effect("names its owner in labels that Kubernetes takes, and in annotations as it was told", () =>
    Effect.gen(function*() {
      const odd = { ...owner, connectionId: "é", username: "Ünï@example.com", remoteAddress: "fe80::1%eth0" }
      const { metadata } = podManifest(yield* config({ namespace: "guests" }), odd, "kuberun-x")
      assert.strictEqual(metadata.name, "kuberun-x")
      assert.strictEqual(metadata.namespace, "guests")
      assert.deepStrictEqual(Object.keys(metadata.labels ?? {}), [
        "containerssh_connection_id",
        "containerssh_ip",
        "containerssh_username",
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/instance",
        "kuberun.dev/mode"
      ])
      for (const value of Object.values(metadata.labels ?? {})) assert.isTrue(isValidLabel(value), value)
      assert.deepStrictEqual(metadata.annotations, {
        containerssh_connection_id: "é",
        containerssh_ip: "fe80::1%eth0",
        containerssh_username: "Ünï@example.com"
      })
    }))

  it.effect("is known again in the pod made from it, and in no other's", () =>
    Effect.gen(function*() {
      const settings = yield* config()
      const manifest = podManifest(settings, owner, "kuberun-x")
      const other = podManifest(settings, { ...owner, connectionId: "f".repeat(32) }, "kuberun-x")
      assert.isTrue(isFrom(manifest, { metadata: { ...manifest.metadata, uid: "u" } }))
      assert.isFalse(isFrom(manifest, { metadata: other.metadata }))
      assert.isFalse(isFrom(manifest, { metadata: { name: "kuberun-x", namespace: "default" } }))
      assert.isFalse(isFrom(manifest, { metadata: { ...manifest.metadata, labels: {} } }))
    }))
})

describe("a manifest from a full template", () => {
  it.effect("has the user's values in their places, and all else as it was", () =>
    Effect.gen(function*() {
      const settings = yield* config(full)
      const { metadata, spec } = podManifest(settings, alice, "desk-x")
      const claimName = userClaimName(settings, "Alice")
      const safe = /^alice-[a-z0-9]{20}$/
      assert.deepInclude(metadata.labels, { stage: "test", [modeKey]: "user", [instanceKey]: "kuberun" })
      assert.match(metadata.labels?.team ?? "", /^red---blue-[a-z0-9]{20}$/)
      assert.match(metadata.labels?.["example.com/team"] ?? "", /^red---blue-[a-z0-9]{20}$/)
      assert.notProperty(metadata.labels, "example.com/none")
      assert.deepInclude(metadata.annotations, {
        team: "red & blue",
        "example.com/team": "red & blue",
        "example.com/mail": "alice@example.com",
        note: "of Alice",
        kept: "{{",
        [ownerKeys.username]: "Alice"
      })
      assert.notProperty(metadata.annotations, "stage")

      const [proxy, shell] = spec.containers
      assert.deepStrictEqual(proxy, { name: "proxy", image: "envoy", command: ["envoy"] })
      const { volumeMounts, ...rest } = shell ?? { name: "" }
      assert.deepStrictEqual(rest, {
        name: "shell",
        command: settings.pod.idleCommand,
        args: ["-l"],
        env: [{ name: "WHO", value: "Alice" }, { name: "KEPT", value: "$(WHO)" }, {
          name: "SECRET",
          valueFrom: { secretKeyRef: { name: "s", key: "k" } }
        }]
      })
      const [homes, own] = Array.isArray(volumeMounts) ? volumeMounts : []
      assert.match(homes.subPath, /^homes\/alice-[a-z0-9]{20}$/)
      assert.deepStrictEqual(own, { name: "kuberun-claim", mountPath: "/home" })
      const [init] = Array.isArray(spec.initContainers) ? spec.initContainers : []
      assert.deepStrictEqual(init.command, ["prepare"])
      assert.deepStrictEqual(init.env, [{ name: "WHO", value: "Alice" }])
      assert.match(init.volumeMounts[0].subPath, safe)
      const [shared, scratch, claimed] = Array.isArray(spec.volumes) ? spec.volumes : []
      assert.match(shared.persistentVolumeClaim.claimName, /^homes-red-blue-[a-z0-9]{20}$/)
      assert.isFalse(shared.persistentVolumeClaim.readOnly)
      assert.deepStrictEqual(scratch, { name: "scratch", emptyDir: {} })
      assert.deepStrictEqual(claimed, { name: "kuberun-claim", persistentVolumeClaim: { claimName } })
    }))

  it.effect("is sent with a claim of the user's own in mode user, and only there", () =>
    Effect.gen(function*() {
      const settings = yield* config(full)
      assert.deepStrictEqual(userClaim(settings, "Alice"), {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: {
          name: userClaimName(settings, "Alice"),
          namespace: "default",
          labels: {
            [managedBy.key]: managedBy.value,
            [instanceKey]: "kuberun",
            [ownerKeys.username]: "Alice"
          },
          annotations: { [ownerKeys.username]: "Alice" }
        },
        spec: {
          accessModes: ["ReadWriteOnce"],
          resources: { requests: { storage: "2Gi" } },
          storageClassName: "fast"
        }
      })
      assert.isUndefined(userClaim(yield* config({ mode: "user" }), "Alice"))
      const elsewhere = { ...settings, pod: { ...settings.pod, mode: "connection" as const } }
      assert.isUndefined(userClaim(elsewhere, "Alice"))
      assert.lengthOf(podManifest(elsewhere, alice, "x").spec.volumes as ReadonlyArray<unknown>, 2)
    }))

  it.effect.prop(
    "names nobody but its user where it says so, whoever the user is, and leaves the configuration alone",
    { username: nastyText, team: nastyText },
    ({ team, username }) =>
      Effect.gen(function*() {
        const settings = yield* config(full)
        const before = inspect(settings, { depth: null })
        const frozen = { ...settings, pod: deepFreeze(settings.pod) }
        const identity = { ...owner, username, metadata: { team, mail: team } }
        for (
          const { metadata, spec } of [
            podManifest(frozen, identity, userPodName(frozen, username)),
            sessionManifest(frozen, identity, "x", { command: ["a"], terminal: true }),
            poolManifest(frozen, "x", "default")
          ]
        ) {
          for (const [key, value] of Object.entries(metadata.labels ?? {})) assert.isTrue(isValidLabel(value), key)
          assert.deepInclude(metadata.labels, { [managedBy.key]: "kuberun", [instanceKey]: "kuberun" })
          assert.isTrue(isDnsLabel(metadata.name))
          const shell = inspect(spec, { depth: null })
          assert.notInclude(shell, "{{")
        }
        ownerPatch(frozen, identity)
        userClaim(frozen, username)
        persistentPodName(frozen, identity)
        assert.strictEqual(inspect(settings, { depth: null }), before)
      }).pipe((test) => username.includes("{{") || team.includes("{{") ? Effect.void : test),
    { arbitrary: { runs: 300 } }
  )
})

describe("a pod for whoever comes", () => {
  it.effect("is the same for all, and a patch makes of it what it would have been", () =>
    Effect.gen(function*() {
      const { claim: _, ...plain } = { ...full, mode: "connection", podSpec: { containers: [{ name: "shell" }] } }
      const settings = yield* config(plain)
      const free = poolManifest(settings, "x", "default")
      assert.deepStrictEqual(free.metadata.labels, {
        stage: "test",
        [managedBy.key]: managedBy.value,
        [instanceKey]: "kuberun",
        [poolKey]: "default"
      })
      assert.deepStrictEqual(free.metadata.annotations, { kept: "{{" })
      const patch = ownerPatch(settings, alice)
      const { [poolKey]: __, ...labels } = { ...free.metadata.labels, ...patch.labels }
      const own = podManifest(settings, alice, "x")
      assert.deepStrictEqual({ ...labels, [modeKey]: "connection" }, own.metadata.labels)
      assert.deepStrictEqual({ ...free.metadata.annotations, ...patch.annotations }, own.metadata.annotations)
      assert.deepStrictEqual(free.spec, own.spec)
    }))
})

describe("a pod for one channel", () => {
  it.effect("has the channel's program for its first process", () =>
    Effect.gen(function*() {
      const settings = yield* config(full)
      const { metadata, spec } = sessionManifest(settings, alice, "x", {
        command: ["sh", "-c", "echo $(WHO) $HOME $$"],
        terminal: true
      })
      const [proxy, shell] = spec.containers
      assert.deepStrictEqual(proxy?.command, ["envoy"])
      assert.deepInclude(shell, { stdin: true, stdinOnce: true, tty: true })
      assert.notProperty(shell, "args")
      const expanded = shell?.command?.map((word) => expandReferences(word, () => "expanded"))
      assert.deepStrictEqual(expanded, ["sh", "-c", "echo $(WHO) $HOME $$"])
      assert.deepStrictEqual(shell?.env, [
        { name: "WHO", value: "Alice" },
        { name: "KEPT", value: "$(WHO)" },
        { name: "SECRET", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }
      ])
      assert.strictEqual(spec.restartPolicy, "Never")
      assert.deepInclude(metadata.annotations, { [ownerKeys.connectionId]: owner.connectionId })
      const plain = sessionManifest(settings, alice, "x", { command: ["true"], terminal: false })
      assert.isFalse(plain.spec.containers[1]?.tty)
    }))
})

function deepFreeze<A>(value: A): A {
  if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) deepFreeze(part)
    Object.freeze(value)
  }
  return value
}
