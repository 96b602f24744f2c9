import { assert, describe, it } from "@effect/vitest"
import { defaultConfig } from "kuberun"
import { usesOtherCluster } from "../src/Dev.ts"
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
