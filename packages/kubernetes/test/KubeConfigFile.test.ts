import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import type { ClusterError } from "kuberun"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { loadKubeConfig } from "../src/KubeConfigFile.ts"

const yaml = (changes: { readonly cluster?: string; readonly user?: string; readonly rest?: string } = {}) => `
apiVersion: v1
kind: Config
clusters:
- name: one
  cluster: { ${changes.cluster ?? "server: 'https://one:6443'"} }
- name: two
  cluster: { server: 'https://two:6443/' }
users:
- name: me
  user: { ${changes.user ?? "token: secret"} }
contexts:
- name: first
  context: { cluster: one, user: me }
- name: second
  context: { cluster: two }
- name: no-cluster
  context: { cluster: three, user: me }
- name: no-user
  context: { cluster: one, user: you }
${changes.rest ?? "current-context: first"}
`

const load = (text: string, context?: string) =>
  loadKubeConfig({ _tag: "Kubeconfig", text: Redacted.make(text), context })

const sentence = (effect: Effect.Effect<unknown, ClusterError>) =>
  Effect.flip(effect).pipe(Effect.map((error) => {
    assert.strictEqual(error.reason._tag, "Misconfigured")
    return error.message
  }))

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kuberun-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

describe("a kubeconfig", () => {
  it.effect("is used with its current context, or the one that is named", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* load(yaml())).getCurrentCluster()?.server, "https://one:6443")
      assert.strictEqual((yield* load(yaml(), "second")).getCurrentCluster()?.server, "https://two:6443")
    }))

  it.effect("has a user in every context, so that the authority of the cluster is not forgotten", () =>
    Effect.gen(function*() {
      assert.isNotNull((yield* load(yaml(), "second")).getCurrentUser())
    }))

  const faults: ReadonlyArray<readonly [string, string, string | undefined, ReadonlyArray<string>]> = [
    ["names an unknown context", yaml(), "third", ["no context \"third\"", "\"first\", \"second\""]],
    ["names no context", yaml({ rest: "" }), undefined, ["no current-context", "\"first\", \"second\""]],
    ["names an unknown cluster", yaml(), "no-cluster", ["cluster \"three\"", "\"one\", \"two\""]],
    ["names an unknown user", yaml(), "no-user", ["user \"you\"", "\"me\""]],
    ["has a server that is no URL", yaml({ cluster: "server: nowhere" }), undefined, ["\"nowhere\"", "not a URL"]],
    [
      "has a plain http server",
      yaml({ cluster: "server: 'http://one'" }),
      undefined,
      ["plain http", "insecure-skip-tls-verify"]
    ],
    ["has a cluster without a server", yaml({ cluster: "" }), undefined, ["clusters[0].cluster.server is missing"]],
    ["is empty", "", undefined, ["the kubeconfig cannot be read", "empty"]],
    ["is a list", "- 1", undefined, ["no current-context"]],
    ["is another text", "hello", undefined, ["no current-context"]]
  ]
  for (const [name, text, context, parts] of faults) {
    it.effect(`that ${name} is refused with a sentence that says so`, () =>
      Effect.gen(function*() {
        const message = yield* sentence(load(text, context))
        for (const part of parts) assert.include(message, part)
      }))
  }

  it.effect("that is not YAML is refused without showing its lines, which may hold a secret", () =>
    Effect.gen(function*() {
      const message = yield* sentence(load("users:\n- name: x\n  user: {token: top-secret\n  other: [}"))
      assert.notInclude(message, "top-secret")
      assert.notInclude(message, "\n")
    }))

  it.effect("with credentials in a server that is no URL is refused without showing them", () =>
    Effect.gen(function*() {
      const message = yield* sentence(load(yaml({ cluster: "server: 'https://me:top-secret@a b'" })))
      assert.include(message, "not a URL")
      assert.notInclude(message, "top-secret")
    }))

  it.effect("that does not exist is refused with its path", () =>
    Effect.gen(function*() {
      const message = yield* sentence(loadKubeConfig({ _tag: "KubeconfigFile", path: "/nowhere/config" }))
      assert.include(message, "/nowhere/config")
      assert.include(message, "does not exist")
    }))

  it.effect("may name a token's file relative to itself", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      writeFileSync(join(folder, "config"), yaml({ user: "tokenFile: token" }))
      const config = yield* loadKubeConfig({ _tag: "KubeconfigFile", path: join(folder, "config") })
      assert.deepInclude(config.getCurrentUser()?.authProvider, { config: { path: join(folder, "token") } })
    }))

  it.effect("is made of all files in KUBECONFIG, each with its own folder", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      const other = yield* directory
      const second = yaml({ user: "tokenFile: token", rest: "" }).replaceAll(/\b(one|two|me|first|second)\b/gu, "my-$1")
        .replaceAll("name: no-", "name: my-no-")
      writeFileSync(join(folder, "config"), yaml())
      writeFileSync(join(other, "config"), second)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const before = process.env["KUBECONFIG"]
          process.env["KUBECONFIG"] = [join(folder, "config"), join(other, "config")].join(delimiter)
          return before
        }),
        (before) =>
          Effect.sync(() => {
            if (before === undefined) delete process.env["KUBECONFIG"]
            else process.env["KUBECONFIG"] = before
          })
      )
      const config = yield* loadKubeConfig({ _tag: "KubeconfigFile" })
      assert.strictEqual(config.getCurrentCluster()?.server, "https://one:6443")
      const mine = yield* loadKubeConfig({ _tag: "KubeconfigFile", context: "my-first" })
      assert.deepInclude(mine.getCurrentUser()?.authProvider, { config: { path: join(other, "token") } })
    }))
})
