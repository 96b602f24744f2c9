import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { defaultConfig } from "kuberun"
import { calls, decode, type RawConfig } from "../src/ConfigFile.ts"
import { type DevOptions, usesOtherCluster, warnings } from "../src/Dev.ts"
import { clusterSource } from "../src/Serve.ts"

const connection = { connection: { host: "https://example.org" } }

describe("which cluster is used", () => {
  it("serve: the kubeconfig that was named, else the file's connection, else what kubectl would find", () => {
    const { connection: decoded } = defaultConfig
    const choose = (flags: { readonly kubeconfig?: string; readonly context?: string }, raw: typeof connection | {}) =>
      clusterSource({ kubeconfig: flags.kubeconfig, context: flags.context }, raw, defaultConfig)
    assert.deepStrictEqual(choose({}, connection), { _tag: "Connection", connection: decoded })
    assert.deepStrictEqual(
      choose({ kubeconfig: "/k" }, connection),
      { _tag: "KubeconfigFile", path: "/k", context: undefined }
    )
    assert.deepStrictEqual(
      choose({ context: "c" }, connection),
      { _tag: "KubeconfigFile", path: undefined, context: "c" }
    )
    assert.deepStrictEqual(choose({}, {}), { _tag: "KubeconfigFile", path: undefined, context: undefined })
  })

  it("dev: the embedded one, unless a kubeconfig or a context was named", () => {
    assert.isFalse(usesOtherCluster({ kubeconfig: undefined, context: undefined }))
    assert.isTrue(usesOtherCluster({ kubeconfig: "/k", context: undefined }))
    assert.isTrue(usesOtherCluster({ kubeconfig: undefined, context: "c" }))
  })
})

describe("what kuberun dev warns of", () => {
  const options: DevOptions = {
    workingFolder: "/w",
    listen: { host: "127.0.0.1", port: 0 },
    authorizedKeys: undefined,
    password: undefined,
    hostKey: undefined,
    kubeconfigOut: undefined,
    kubeconfig: undefined,
    context: undefined,
    config: "/w/kuberun.yaml"
  }

  it("nothing, as it comes", () => {
    assert.deepStrictEqual(warnings(options, {}), [])
    assert.deepStrictEqual(warnings({ ...options, kubeconfigOut: "/w/out" }, {}), [])
  })

  it("a connection in the configuration, which is not used", () => {
    assert.match(warnings(options, connection).join(), /connection of \/w\/kuberun\.yaml is not used/)
    // How often and how patiently to call is said of any cluster.
    assert.deepStrictEqual(warnings(options, { connection: { qps: 50, burst: 100, timeout: "5s" } }), [])
  })

  it("a place for a kubeconfig that nobody writes", () => {
    const found = warnings({ ...options, kubeconfigOut: "/w/out", kubeconfig: "/w/in" }, {})
    assert.match(found.join(), /--kubeconfig-out has no effect/)
  })

  it("an address that other machines reach, before programs of this one", () => {
    const listen = { host: "0.0.0.0", port: 2222 }
    assert.match(warnings({ ...options, listen }, {}).join(), /other machines can connect/)
    assert.deepStrictEqual(warnings({ ...options, listen, context: "real" }, {}), [])
  })
})

describe("calls to a cluster that the file does not name", () => {
  it.effect("have the limits that the file says, and none where it says nothing", () =>
    Effect.gen(function*() {
      const callsOf = (raw: RawConfig) =>
        Effect.map(decode(undefined, raw), (config) => {
          const { callTimeout, limit } = calls(raw, config)
          return { callTimeout: callTimeout === undefined ? undefined : Duration.toMillis(callTimeout), limit }
        })
      assert.deepStrictEqual(yield* callsOf({}), { callTimeout: undefined, limit: undefined })
      assert.deepStrictEqual(yield* callsOf({ connection: { qps: 50, timeout: "5s" } }), {
        callTimeout: 5000,
        limit: { qps: 50, burst: 10 }
      })
      assert.deepStrictEqual(yield* callsOf({ kubernetes: { connection: { burst: 3 } } }), {
        callTimeout: 15_000,
        limit: { qps: 5, burst: 3 }
      })
    }))
})
