import { assert, describe, it } from "@effect/vitest"
import { make, type Minicluster } from "@kuberun/minicluster"
import { Effect, Exit, Schedule, Scope } from "effect"
import { spawn } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeDirectory, removeFolder } from "../src/runtime/Directory.ts"
import { call, outputOf, podBody, pods, runningPod, textAt, until } from "./support/Client.ts"

/** A folder of the test's own, for clusters to have theirs in. */
const parentFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "folders-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Another process: the first line that it prints, and its end by SIGKILL. */
const another = (script: URL, argument: string, temporary: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly line: string; readonly kill: Effect.Effect<void> }>((resume) => {
      const child = spawn(process.execPath, [
        "--conditions=@kuberun/source",
        fileURLToPath(script),
        argument
      ], { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, TMPDIR: temporary } })
      const kill = Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
      let line = ""
      child.stdout.on("data", (piece) => {
        line += String(piece)
        if (line.endsWith("\n")) resume(Effect.succeed({ line: line.trim(), kill }))
      })
    }),
    ({ kill }) => kill
  )

const neighbour = (parent: string) =>
  Effect.map(
    another(new URL("./support/Neighbour.ts", import.meta.url), parent, tmpdir()),
    ({ kill, line }) => ({ folder: line, kill })
  )

const gone = (...folders: ReadonlyArray<string>) =>
  Effect.sync(() => folders.filter((folder) => existsSync(folder))).pipe(
    Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: (left) => left.length === 0 }),
    Effect.timeoutOrElse({ duration: "20 seconds", orElse: () => Effect.die(new Error("it is still there")) })
  )

/** No process can have this id: it is above the kernel's own limit (PID_MAX_LIMIT). */
const nobody = "4194305"
const ownerOf = (folder: string) => readFileSync(join(folder, "owner"), "utf8").trim()

/** A folder as a cluster has it, with the owner that is told. */
const folderOf = (parent: string, name: string, owner: string | undefined) => {
  const folder = join(parent, `minicluster-${name.padEnd(6, "0")}`)
  mkdirSync(join(folder, "claims", "uid"), { recursive: true })
  writeFileSync(join(folder, "claims", "uid", "data"), "")
  if (owner !== undefined) writeFileSync(join(folder, "owner"), owner)
  return folder
}

describe("the cluster's folder", () => {
  it.live("is private, tells its owner, and goes with the scope, with all that is in it", () =>
    Effect.gen(function*() {
      for (const given of [undefined, join(yield* parentFolder, "a", "b")]) {
        const scope = yield* Scope.make()
        const folder = yield* Scope.provide(makeDirectory(given), scope)
        assert.strictEqual(statSync(folder).mode & 0o777, 0o700)
        assert.match(ownerOf(folder), new RegExp(`^${process.pid} \\d+ \\S+ \\S+$`))
        mkdirSync(join(folder, "pod", "deep"), { recursive: true })
        yield* Scope.close(scope, Exit.void)
        assert.isFalse(existsSync(folder))
        if (given !== undefined) assert.deepStrictEqual(readdirSync(given), [])
      }
    }))

  it.live("of a cluster that was killed is removed by the next start, and that of one that runs is not", () =>
    Effect.gen(function*() {
      const parent = yield* parentFolder
      const [killed, alive] = yield* Effect.all([neighbour(parent), neighbour(parent)], { concurrency: 2 })
      mkdirSync(join(killed.folder, "claims", "uid"), { recursive: true })
      symlinkSync(alive.folder, join(killed.folder, "claims", "link"))
      writeFileSync(join(parent, "minicluster-file00"), "no folder at all")
      // From here on the other's own sweep may be the one that removes it.
      assert.isTrue(existsSync(killed.folder))
      yield* killed.kill
      yield* makeDirectory(parent)
      yield* gone(killed.folder)
      // Its own sweep went over both, in the order of their names.
      const last = folderOf(parent, "zzzzzz", ownerOf(alive.folder).replace(/^\d+/, nobody))
      yield* makeDirectory(parent)
      yield* gone(last)
      assert.isTrue(existsSync(join(alive.folder, "owner")))
      assert.isTrue(existsSync(join(parent, "minicluster-file00")))
    }))

  it.live("goes only where its owner is surely gone, or where nobody has claimed it for a day", () =>
    Effect.gen(function*() {
      const parent = yield* parentFolder
      const [pid = "", start = "", boot = "", namespace = ""] = ownerOf(yield* makeDirectory(undefined)).split(" ")
      const owner = (...words: ReadonlyArray<string>) => `${words.join(" ")}\n`
      const kept = [
        folderOf(parent, "ours", owner(pid, start, boot, namespace)),
        folderOf(parent, "pod", owner(nobody, start, boot, "elsewhere/pid:[1]")),
        folderOf(parent, "new", undefined),
        folderOf(parent, "half", "1 2")
      ]
      if (process.getuid?.() === 0) {
        const others = folderOf(parent, "others", owner(nobody, start, boot, namespace))
        chownSync(others, 65534, 65534)
        kept.push(others)
      }
      const outside = folderOf(yield* parentFolder, "linked", owner(nobody, start, boot, namespace))
      symlinkSync(outside, join(parent, "minicluster-link00"))
      kept.push(join(parent, "minicluster-link00"), join(outside, "claims", "uid", "data"))
      const leftovers = [
        folderOf(parent, "ended", owner(nobody, start, boot, namespace)),
        folderOf(parent, "reused", owner(pid, `${Number(start) - 1}`, boot, namespace)),
        folderOf(parent, "reboot", owner(pid, start, "another-boot", namespace)),
        folderOf(parent, "old", undefined),
        folderOf(parent, "zzlast", owner(nobody, start, boot, namespace))
      ]
      const notOurs = [folderOf(parent, "mine", undefined), folderOf(parent, "longname", undefined)]
      writeFileSync(join(parent, "minicluster-mine00", "notes"), "")
      kept.push(...notOurs)
      const twoDaysAgo = Date.now() / 1000 - 2 * 86_400
      for (const old of [join(parent, "minicluster-old000"), ...notOurs]) utimesSync(old, twoDaysAgo, twoDaysAgo)
      yield* makeDirectory(parent)
      yield* gone(...leftovers)
      for (const folder of kept) assert.isTrue(existsSync(folder), folder)
    }))

  it.live("of a whole cluster that was killed, claims and all, is removed by the next start of one", () =>
    Effect.gen(function*() {
      const parent = yield* parentFolder
      const victim = yield* another(new URL("./support/Victim.ts", import.meta.url), "namespaces", parent)
      const cluster: Minicluster = JSON.parse(victim.line)
      yield* call(cluster, "POST", "/api/v1/namespaces/default/persistentvolumeclaims", {
        body: {
          metadata: { name: "data" },
          spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } }
        }
      })
      const path = "/mnt/data"
      const container = {
        name: "main",
        image: "busybox",
        command: ["sh", "-c", `mkdir ${path}/made; chmod 500 ${path}/made; echo >home; trap '' TERM; sleep 1000`],
        volumeMounts: [{ name: "data", mountPath: path }]
      }
      const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "data" } }]
      yield* call(cluster, "POST", pods, { body: podBody("a", "", { containers: [container], volumes }) })
      yield* until(cluster, `${pods}/a`, ({ body }) => textAt(body, "status", "phase") === "Running")
      const [left = ""] = readdirSync(parent)
      yield* victim.kill
      assert.isTrue(existsSync(join(parent, left, "claims")))
      const scope = yield* Scope.make()
      yield* Scope.provide(make({ directory: parent }), scope)
      yield* gone(join(parent, left))
      assert.strictEqual(readdirSync(parent).length, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(readdirSync(parent), [])
    }))

  it.live("is made in the one that is given, and a pod's goes with its pod", () =>
    Effect.gen(function*() {
      const parent = yield* parentFolder
      const cluster = yield* make({ directory: parent })
      yield* runningPod(cluster, podBody("inside"))
      const folder = (yield* outputOf(cluster, "inside", "pwd")).trim()
      assert.isTrue(folder.startsWith(join(parent, "minicluster-")) && existsSync(folder), folder)
      yield* call(cluster, "DELETE", `${pods}/inside?gracePeriodSeconds=0`)
      yield* gone(folder)
    }))

  it.live("is each cluster's own when many start at once, and all of them sweep", () =>
    Effect.gen(function*() {
      const parent = yield* parentFolder
      const owner = ownerOf(yield* makeDirectory(undefined)).replace(/^\d+/, nobody)
      const leftovers = Array.from({ length: 30 }, (_, index) => folderOf(parent, `left${index}`, owner))
      const folders = yield* Effect.all(Array.from({ length: 30 }, () => makeDirectory(parent)), {
        concurrency: "unbounded"
      })
      yield* gone(...leftovers)
      assert.strictEqual(new Set(folders).size, 30)
      for (const folder of folders) assert.isTrue(existsSync(join(folder, "owner")))
    }))

  it.live("is removed with folders that were made read-only in it", () =>
    Effect.gen(function*() {
      const parent = yield* parentFolder
      // Nothing is read-only for root.
      if (process.getuid?.() === 0) {
        chmodSync(parent, 0o777)
        yield* Effect.acquireRelease(
          Effect.sync(() => process.seteuid?.(65534)),
          () => Effect.sync(() => process.seteuid?.(0))
        )
      }
      const folder = folderOf(parent, "cache", undefined)
      for (const path of [join(folder, "claims", "uid"), join(folder, "claims")]) chmodSync(path, 0o500)
      yield* removeFolder(folder)
      assert.isFalse(existsSync(folder))
    }))

  it.effect("is told when it cannot be made", () =>
    Effect.gen(function*() {
      const file = join(yield* parentFolder, "file")
      writeFileSync(file, "")
      const { message } = yield* Effect.flip(makeDirectory(join(file, "folder")))
      assert.match(message, /^The folder for the pods cannot be made: ENOTDIR/)
    }))
})
