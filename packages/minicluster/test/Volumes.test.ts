import { assert, describe, it, layer } from "@effect/vitest"
import { layer as clusterLayer, MiniclusterService } from "@kuberun/minicluster"
import { Effect, type Scope } from "effect"
import { Buffer } from "node:buffer"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { makeStore, type Store } from "../src/api/Store.ts"
import { mountsOf } from "../src/runtime/Mounts.ts"
import { prepareVolumes, type VolumeOptions, type Volumes } from "../src/runtime/Volumes.ts"
import { type KubeObject, type Pod, type Volume, type VolumeMount } from "../src/shapes/Objects.ts"
import { call, exec, podBody, pods, runningPod, until } from "./support/Client.ts"
import { podOf, specOf, temporaryFolder } from "./support/Container.ts"

const objectOf = <A extends object>(kind: string, name: string, rest: A) => ({
  apiVersion: "v1",
  kind,
  metadata: {
    name,
    namespace: "default",
    uid: `uid-of-${name}`,
    resourceVersion: "",
    creationTimestamp: "2026-01-01T00:00:00Z"
  },
  ...rest
})
const base64 = (text: string) => Buffer.from(text).toString("base64")

interface World {
  readonly store: Store
  readonly folder: string
  readonly pod: Pod
  readonly options: VolumeOptions
}

const world = (volumes: ReadonlyArray<Volume>, options: Partial<VolumeOptions> = {}, spec: Partial<Pod["spec"]> = {}) =>
  Effect.gen(function*(): Effect.fn.Return<World, never, Scope.Scope> {
    const store = yield* makeStore()
    const folder = yield* temporaryFolder
    yield* Effect.orDie(Effect.gen(function*() {
      const settings = { data: { a: "1", b: "2" }, binaryData: { c: base64("\u0000\u0001") } }
      yield* store.create("configmaps", objectOf("ConfigMap", "settings", settings))
      yield* store.create("secrets", objectOf("Secret", "keys", { data: { key: base64("secret") } }))
      yield* store.create("persistentvolumeclaims", objectOf("PersistentVolumeClaim", "disk", {}) as KubeObject)
    }))
    const pod = podOf({ volumes, containers: [specOf({ resources: { limits: { memory: "64Mi" } } })], ...spec }, {
      labels: { app: "web" }
    })
    yield* Effect.orDie(store.create("pods", pod))
    const given: VolumeOptions = {
      store,
      pod,
      directory: join(folder, "pod"),
      claims: join(folder, "claims"),
      hostPath: undefined,
      token: (_, { audience }) => Effect.succeed(`token for ${audience}`),
      authority: "PEM",
      ...options
    }
    return { store, folder, pod, options: given }
  })

const filesIn = (path: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(path, { recursive: true, encoding: "utf8" })
      .filter((name) => !name.startsWith("..") && statSync(join(path, name)).isFile())
      .map((name) => [name, readFileSync(join(path, name), "utf8")])
  )
const pathOf = (volumes: Volumes, name = "v"): string => volumes.sources.get(name)?.path ?? ""
const refusal = (volume: Omit<Volume, "name">, options: Partial<VolumeOptions> = {}) =>
  Effect.gen(function*() {
    const { options: given } = yield* world([{ name: "v", ...volume }], options)
    return (yield* Effect.flip(prepareVolumes(given))).message
  })
const mountFailed = `MountVolume.SetUp failed for volume "v" : `

describe("a volume", () => {
  it.effect("of a ConfigMap or Secret has its keys as files, or those that are named, with their modes", () =>
    Effect.gen(function*() {
      const { options } = yield* world([
        { name: "v", configMap: { name: "settings" } },
        {
          name: "some",
          configMap: {
            name: "settings",
            defaultMode: 0o600,
            items: [{ key: "b", path: "x/y", mode: 0o755 }, { key: "a", path: "z" }]
          }
        },
        { name: "secret", secret: { secretName: "keys", defaultMode: 0o400 } },
        { name: "none", configMap: { name: "nosuch", optional: true } }
      ])
      const volumes = yield* prepareVolumes(options)
      assert.deepStrictEqual(filesIn(pathOf(volumes)), { a: "1", b: "2", c: "\u0000\u0001" })
      assert.deepStrictEqual(filesIn(pathOf(volumes, "secret")), { key: "secret" })
      assert.deepStrictEqual(filesIn(pathOf(volumes, "none")), {})
      const some = pathOf(volumes, "some")
      assert.strictEqual(readFileSync(join(some, "x/y"), "utf8"), "2")
      assert.deepStrictEqual(
        [join(some, "x/y"), join(some, "z"), join(pathOf(volumes, "secret"), "key"), join(pathOf(volumes), "a")].map((
          path
        ) => (statSync(path).mode & 0o777).toString(8)),
        ["755", "600", "400", "644"]
      )
      assert.isTrue(volumes.sources.get("v")?.readOnly)
      assert.strictEqual(readlinkSync(join(pathOf(volumes), "a")), "..data/a")
      assert.strictEqual(statSync(join(options.directory, "volumes")).mode & 0o777, 0o700)
    }))

  it.effect("changes all its files at once when its object does, and stays when that is gone", () =>
    Effect.gen(function*() {
      const { options, store } = yield* world([
        { name: "v", configMap: { name: "settings" } },
        { name: "labels", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } }
      ])
      const volumes = yield* prepareVolumes(options)
      const path = pathOf(volumes)
      const before = readlinkSync(join(path, "..data"))
      yield* volumes.refresh
      assert.strictEqual(readlinkSync(join(path, "..data")), before)
      yield* store.update(
        "configmaps",
        "default",
        "settings",
        (object) => ({ ...object, data: { a: "new", d: "4" }, binaryData: {} })
      )
      yield* store.update(
        "pods",
        "default",
        "pod",
        (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { app: "\"x\"", b: "y" } } })
      )
      yield* volumes.refresh
      assert.deepStrictEqual(filesIn(path), { a: "new", d: "4" })
      assert.deepStrictEqual(filesIn(pathOf(volumes, "labels")), { labels: `app="\\"x\\""\nb="y"` })
      assert.notStrictEqual(readlinkSync(join(path, "..data")), before)
      assert.isFalse(existsSync(join(path, before)))
      assert.deepStrictEqual(readdirSync(path).filter((name) => !name.startsWith("..")).toSorted(), ["a", "d"])
      yield* store.remove("configmaps", "default", "settings")
      yield* volumes.refresh
      assert.deepStrictEqual(filesIn(path), { a: "new", d: "4" })
    }))

  it.effect("that is projected has everything that a service account needs", () =>
    Effect.gen(function*() {
      const { options } = yield* world([{
        name: "v",
        projected: {
          sources: [
            { serviceAccountToken: { path: "token", audience: "us", expirationSeconds: 3607 } },
            { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
            {
              downwardAPI: {
                items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }, {
                  path: "memory",
                  resourceFieldRef: { containerName: "main", resource: "limits.memory", divisor: "1Mi" }
                }]
              }
            },
            { secret: { name: "keys", items: [{ key: "key", path: "deep/key" }] } }
          ]
        }
      }])
      const volumes = yield* prepareVolumes(options)
      const path = pathOf(volumes)
      assert.deepStrictEqual({ ...filesIn(path), "deep/key": readFileSync(join(path, "deep/key"), "utf8") }, {
        token: "token for us",
        "ca.crt": "PEM",
        namespace: "default",
        memory: "64",
        "deep/key": "secret"
      })
    }))

  it.effect("of a claim keeps its files for the next pod; an emptyDir begins empty and may be written by all", () =>
    Effect.gen(function*() {
      const { options } = yield* world([
        { name: "v", persistentVolumeClaim: { claimName: "disk" } },
        { name: "empty", emptyDir: {} }
      ])
      const first = yield* prepareVolumes(options)
      writeFileSync(join(pathOf(first), "kept"), "yes")
      rmSync(options.directory, { recursive: true })
      const second = yield* prepareVolumes(options)
      assert.strictEqual(pathOf(second), join(options.claims, "uid-of-disk"))
      assert.deepStrictEqual(filesIn(pathOf(second)), { kept: "yes" })
      assert.deepStrictEqual(readdirSync(pathOf(second, "empty")), [])
      assert.strictEqual(statSync(pathOf(second, "empty")).mode & 0o777, 0o777)
    }))

  it.effect("belongs to the pod's fsGroup where the cluster is root", () =>
    Effect.gen(function*() {
      const { options } = yield* world(
        [{ name: "v", emptyDir: {} }, { name: "settings", configMap: { name: "settings", defaultMode: 0o400 } }],
        {},
        { securityContext: { fsGroup: 4321 } }
      )
      const volumes = yield* prepareVolumes(options)
      if (process.getuid?.() !== 0) return
      const { gid, mode } = statSync(pathOf(volumes))
      assert.deepStrictEqual([gid, mode & 0o2070], [4321, 0o2070])
      const file = statSync(join(pathOf(volumes, "settings"), "a"))
      assert.deepStrictEqual([file.gid, file.mode & 0o777], [4321, 0o440])
    }))

  it.effect("that cannot be had is refused in the kubelet's words", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refusal({ configMap: { name: "x" } }), `${mountFailed}configmap "x" not found`)
      assert.strictEqual(yield* refusal({ secret: { secretName: "x" } }), `${mountFailed}secret "x" not found`)
      const items = [{ key: "nosuch", path: "p" }]
      assert.strictEqual(
        yield* refusal({ configMap: { name: "settings", items } }),
        `${mountFailed}configmap references non-existent config key: nosuch`
      )
      assert.strictEqual(
        yield* refusal({ secret: { secretName: "keys", items } }),
        `${mountFailed}references non-existent secret key: nosuch`
      )
      assert.strictEqual(
        yield* refusal({ persistentVolumeClaim: { claimName: "x" } }),
        `${mountFailed}persistentvolumeclaim "x" not found`
      )
      assert.include(yield* refusal({ hostPath: { path: "/etc" } }), "start it with the option hostPath")
    }))

  it.effect("of the host is taken from the one folder, and no link leads out of it", () =>
    Effect.gen(function*() {
      const host = yield* temporaryFolder
      mkdirSync(join(host, "real/dir"), { recursive: true })
      writeFileSync(join(host, "file"), "x")
      symlinkSync("/etc", join(host, "out"))
      symlinkSync("real", join(host, "in"))
      const at = (path: string, type?: string) =>
        Effect.gen(function*() {
          const volume = { name: "v", hostPath: { path, ...(type === undefined ? {} : { type }) } }
          const { options } = yield* world([volume], { hostPath: host })
          return pathOf(yield* prepareVolumes(options))
        })
      assert.strictEqual(yield* at("/in/dir", "Directory"), join(host, "real/dir"))
      assert.strictEqual(yield* at("/file", "File"), join(host, "file"))
      assert.strictEqual(yield* at("/new/dir", "DirectoryOrCreate"), join(host, "new/dir"))
      assert.isTrue(statSync(yield* at("/new/file", "FileOrCreate")).isFile())
      const failed = (path: string, type?: string) => Effect.map(Effect.flip(at(path, type)), ({ message }) => message)
      assert.include(yield* failed("/out"), "leads out")
      assert.include(yield* failed("/out/new", "DirectoryOrCreate"), "leads out")
      assert.include(yield* failed("/../etc"), "leads out")
      assert.strictEqual(
        yield* failed("/file", "Directory"),
        `${mountFailed}hostPath type check failed: /file is not a directory`
      )
      assert.strictEqual(
        yield* failed("/nosuch", "File"),
        `${mountFailed}hostPath type check failed: /nosuch is not a file`
      )
    }))
})

describe("a mount of a part of a volume", () => {
  const sourceOf = (mount: Partial<VolumeMount>, environment: Readonly<Record<string, string>> = {}) =>
    Effect.gen(function*() {
      const { options } = yield* world([{ name: "v", emptyDir: {} }, {
        name: "settings",
        configMap: { name: "settings" }
      }])
      const volumes = yield* prepareVolumes(options)
      symlinkSync("/etc", join(pathOf(volumes), "out"))
      const spec = specOf({ volumeMounts: [{ name: "v", mountPath: "/data", ...mount }] })
      const [found] = yield* mountsOf(volumes, spec, environment)
      return { ...found, source: found?.source.slice(join(options.directory, "volumes").length) }
    })

  it.effect("is made where it is missing, and follows the container's variables", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* sourceOf({ subPath: "a/b" }), {
        source: "/v/a/b",
        target: "/data",
        readOnly: false
      })
      assert.strictEqual((yield* sourceOf({ subPathExpr: "$(POD)/x" }, { POD: "pod" })).source, "/v/pod/x")
      const { readOnly, source } = yield* sourceOf({ name: "settings", subPath: "a" })
      assert.match(source ?? "", /^\/settings\/\.\.[\d_.]+\/a$/)
      assert.isTrue(readOnly)
    }))

  it.effect("never leads out of the volume", () =>
    Effect.gen(function*() {
      for (const subPath of ["../settings", "a/../../x", "/etc", "out", "out/x"]) {
        assert.strictEqual(
          (yield* Effect.flip(sourceOf({ subPath }))).message,
          `failed to prepare subPath for volumeMount "v" of container "main"`,
          subPath
        )
      }
      assert.strictEqual((yield* Effect.flip(sourceOf({ subPathExpr: "$(NO)" }))).message, `missing value for "NO"`)
      assert.include(
        (yield* Effect.flip(sourceOf({ subPathExpr: "$(UP)/x" }, { UP: ".." }))).message,
        "failed to prepare subPath"
      )
    }))
})

layer(clusterLayer(), { excludeTestServices: true })("a pod's volumes and variables over the API", (it) => {
  it.effect("reach its containers, follow their objects, and are waited for", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      if (cluster.isolation.length > 0) return
      const namespace = "/api/v1/namespaces/default"
      const container = {
        name: "main",
        image: "busybox",
        command: ["sh", "-c", "echo up; exec sleep 1000"],
        env: [
          { name: "COLOR", valueFrom: { configMapKeyRef: { name: "paint", key: "color" } } },
          { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }
        ],
        volumeMounts: [{ name: "paint", mountPath: "/paint" }, { name: "work", mountPath: "/scratch", subPath: "sub" }]
      }
      const helper = { ...container, name: "helper", volumeMounts: [{ name: "work", mountPath: "/all" }] }
      const volumes = [{ name: "paint", configMap: { name: "paint" } }, { name: "work", emptyDir: {} }]
      const body = podBody("painted", "", { containers: [container, helper], volumes })
      yield* call(cluster, "POST", pods, { body })
      yield* until(cluster, `${namespace}/events`, ({ text }) =>
        text.includes(`MountVolume.SetUp failed for volume \\"paint\\" : configmap \\"paint\\" not found`))
      const paint = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "paint" }, data: { color: "blue" } }
      yield* call(cluster, "POST", `${namespace}/configmaps`, { body: paint })
      yield* runningPod(cluster, podBody("other"))
      yield* until(cluster, `${pods}/painted/log?container=helper`, ({ text }) =>
        text === "up\n")
      const print = Effect.fnUntraced(function*(script: string) {
        const session = yield* exec(cluster, "painted", ["sh", "-c", script], "stdout=true&container=main")
        yield* session.end
        return session.output(1)
      })
      assert.strictEqual(
        yield* print("echo $COLOR $NODE; cat /paint/color; echo; echo x > /scratch/x"),
        "blue minicluster\nblue\n"
      )
      const session = yield* exec(cluster, "painted", ["ls", "/all/sub"], "stdout=true&container=helper")
      yield* session.end
      assert.strictEqual(session.output(1), "x\n")
      yield* call(cluster, "PATCH", `${namespace}/configmaps/paint`, {
        body: { data: { color: "red" } },
        contentType: "application/merge-patch+json"
      })
      assert.strictEqual(yield* print("until grep red /paint/color; do sleep 0.05; done; echo $COLOR"), "red\nblue\n")
    }))
})
