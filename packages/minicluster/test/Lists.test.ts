import { assert, layer } from "@effect/vitest"
import { layer as clusterLayer, type Minicluster, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { type Resource } from "../src/shapes/Resources.ts"
import { at, call, type Json, listAt, podBody, textAt, until } from "./support/Client.ts"
import { create, pathOf, refusalOf, resources, versionOf } from "./support/Samples.ts"

const configmaps = pathOf("configmaps")
const namesOf = (body: Json) => listAt(body, "items").map((item) => textAt(item, "metadata", "name"))
const restOf = (body: Json) => textAt(body, "metadata", "continue")
const asTable = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" }

/** Many configmaps in a namespace of their own. */
const many = Effect.fnUntraced(function*(cluster: Minicluster, namespace: string, count: number) {
  yield* create(cluster, "namespaces", { name: namespace })
  const names = Array.from({ length: count }, (_, index) => `cm-${String(index).padStart(2, "0")}`)
  yield* Effect.forEach(names, (name) => create(cluster, "configmaps", { name, labels: { many: "yes" } }, namespace))
  return names
})

layer(clusterLayer(), { excludeTestServices: true })("a list in pieces", (it) => {
  it.effect("gives each object once, as they were at its beginning, whatever comes and goes meanwhile", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const names = yield* many(cluster, "pieces", 25)
      const path = pathOf("configmaps", "pieces")
      const found: Array<string> = []
      const versions = new Set<string>()
      let token = ""
      do {
        const piece = yield* call(cluster, "GET", `${path}?limit=7&continue=${token}`)
        assert.isAtMost(listAt(piece.body, "items").length, 7)
        found.push(...namesOf(piece.body))
        versions.add(versionOf(piece))
        token = restOf(piece.body)
        const left = textAt(piece.body, "metadata", "remainingItemCount")
        // With the authority's certificate, which every namespace has.
        assert.strictEqual(left, token === "" ? "" : String(names.length + 1 - found.length))
        // Before, between and behind; and one goes that was not given yet.
        for (const prefix of ["a", "cm-1", "z"]) {
          yield* create(cluster, "configmaps", { generateName: prefix }, "pieces")
        }
        yield* call(cluster, "DELETE", `${path}/cm-24`)
      } while (token !== "")
      assert.deepStrictEqual(found, [...names, "kube-root-ca.crt"])
      assert.strictEqual(versions.size, 1)
      const fresh = yield* call(cluster, "GET", path)
      assert.notInclude(namesOf(fresh.body), "cm-24")
      assert.isFalse(versions.has(versionOf(fresh)))
    }))

  it.effect("can be read on twice from the same piece, as a table too, and tells no rest of a selection", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const names = yield* many(cluster, "twice", 5)
      const path = `${pathOf("configmaps", "twice")}?labelSelector=many&limit=2`
      const first = yield* call(cluster, "GET", path)
      assert.strictEqual(textAt(first.body, "metadata", "remainingItemCount"), "")
      const next = `${path}&continue=${restOf(first.body)}`
      const [one, other] = [yield* call(cluster, "GET", next), yield* call(cluster, "GET", next)]
      assert.deepStrictEqual([namesOf(one.body), namesOf(other.body)], [names.slice(2, 4), names.slice(2, 4)])
      const table = yield* call(cluster, "GET", `${path}&continue=${restOf(one.body)}`, asTable)
      assert.deepStrictEqual(listAt(table.body, "rows").map((row) => textAt(row, "cells", 0)), names.slice(4))
      assert.strictEqual(restOf(table.body), "")
    }))

  it.effect("expires when too many others were begun and left, and is of nothing but what it was begun with", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* many(cluster, "left", 3)
      const path = pathOf("configmaps", "left")
      const begin = Effect.map(call(cluster, "GET", `${path}?limit=1`), ({ body }) => restOf(body))
      const goOn = (path: string, token: string) => call(cluster, "GET", `${path}?limit=1&continue=${token}`)
      const token = yield* begin
      assert.strictEqual((yield* goOn(path, token)).code, 200)
      for (const other of [pathOf("secrets", "left"), configmaps]) {
        assert.strictEqual((yield* goOn(other, token)).code, 410)
      }
      for (let count = 0; count < 64; count++) yield* begin
      assert.deepStrictEqual(refusalOf(yield* goOn(path, token)), [
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result."
      ])
    }))

  it.effect("is refused with a limit, a version or a match that is none", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const code = (query: string) =>
        Effect.map(call(cluster, "GET", `${configmaps}?${query}`), (answer) => answer.code)
      for (const query of ["limit=x", "limit=-1", "limit=1.5", "resourceVersion=x"]) {
        assert.strictEqual(yield* code(query), 400, query)
      }
      const { body } = yield* call(cluster, "GET", configmaps)
      const version = Number(textAt(body, "metadata", "resourceVersion"))
      assert.strictEqual(yield* code(`resourceVersion=${version - 1}&resourceVersionMatch=NotOlderThan`), 200)
      assert.strictEqual(yield* code(`resourceVersion=${version - 1}&resourceVersionMatch=Exact`), 410)
    }))
})

layer(clusterLayer(), { excludeTestServices: true })("selectors", (it) => {
  it.effect("choose by labels in every operator", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const labels = { a: { app: "x", tier: "1" }, b: { app: "y" }, c: {} }
      for (const [name, own] of Object.entries(labels)) {
        yield* create(cluster, "secrets", { name, labels: own })
      }
      const found = (text: string) =>
        Effect.map(
          call(cluster, "GET", `${pathOf("secrets")}?labelSelector=${encodeURIComponent(text)}`),
          ({ body }) => namesOf(body).join()
        )
      const expected = {
        "": "a,b,c",
        "app=x": "a",
        "app==x,tier=1": "a",
        "app=x,tier!=1": "",
        "app!=x": "b,c",
        "app in (x, y),tier notin (1)": "b",
        "app in(x)": "a",
        "app notin (y)": "a,c",
        app: "a,b",
        "!app": "c",
        "app=": "",
        nosuch: ""
      }
      for (const [selector, names] of Object.entries(expected)) {
        assert.strictEqual(yield* found(selector), names, selector)
      }
      for (const wrong of ["app in x", "app=x=y", "a(", "in (x)"]) {
        const path = `${pathOf("secrets")}?labelSelector=${encodeURIComponent(wrong)}`
        assert.strictEqual((yield* call(cluster, "GET", path)).code, 400, wrong)
      }
    }))

  it.effect("choose by the fields that a resource has for that, and by no other", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* create(cluster, "secrets", { name: "chosen" })
      yield* create(cluster, "events", { name: "chosen" })
      yield* create(cluster, "pods", { name: "chosen" })
      const found = (resource: Resource, text: string) =>
        Effect.map(
          call(cluster, "GET", `${pathOf(resource)}?fieldSelector=${encodeURIComponent(text)}`),
          ({ body, code }) => code === 200 ? namesOf(body).includes("chosen") : code
        )
      const expected: ReadonlyArray<readonly [Resource, string, boolean | number]> = [
        ["secrets", "metadata.name=chosen", true],
        ["secrets", "metadata.namespace=default,metadata.name!=chosen", false],
        ["secrets", "type=Opaque", true],
        ["secrets", "type!=Opaque", false],
        ["configmaps", "type=Opaque", 400],
        ["events", "involvedObject.kind=Pod,involvedObject.name=some,reason=Tested", true],
        ["events", "source=test,type!=Warning", true],
        ["events", "involvedObject.uid=other", false],
        ["pods", "spec.schedulerName=nobody,status.phase=Pending,spec.restartPolicy=Always", true],
        ["pods", "spec.nodeName=", true],
        ["pods", "spec.nodeName!=", false],
        ["pods", "spec.hostNetwork=false,spec.serviceAccountName=default", true],
        ["pods", "metadata.labels=x", 400],
        ["pods", "metadata.name", 400]
      ]
      for (const [resource, selector, answer] of expected) {
        assert.strictEqual(yield* found(resource, selector), answer, `${resource} ${selector}`)
      }
      const cluster_ = yield* call(cluster, "GET", "/api/v1/namespaces?fieldSelector=status.phase%3DActive")
      assert.strictEqual(namesOf(cluster_.body).length, 4)
      const nodes = yield* call(cluster, "GET", "/api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue")
      assert.deepStrictEqual(namesOf(nodes.body), [])
      const unknown = yield* call(cluster, "GET", `${pathOf("pods")}?fieldSelector=spec.nosuch%3D1`)
      assert.strictEqual(textAt(unknown.body, "message"), "field label not supported: spec.nosuch")
    }))
})

/** The columns as kubectl heads them; those in parentheses are for `-o wide`. */
const columns: Readonly<Record<Resource, string>> = {
  pods: "Name|Ready|Status|Restarts|Age|(IP)|(Node)|(Nominated Node)|(Readiness Gates)",
  events: "Last Seen|Type|Reason|Object|(Subobject)|(Source)|Message|(First Seen)|(Count)|(Name)",
  namespaces: "Name|Status|Age",
  nodes: "Name|Status|Roles|Age|Version|(Internal-IP)|(External-IP)|(OS-Image)|(Kernel-Version)|(Container-Runtime)",
  configmaps: "Name|Data|Age",
  secrets: "Name|Type|Data|Age",
  serviceaccounts: "Name|Secrets|Age",
  persistentvolumeclaims:
    "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|(VolumeMode)",
  leases: "Name|Holder|Age",
  roles: "Name|Created At",
  rolebindings: "Name|Role|Age|(Users)|(Groups)|(ServiceAccounts)",
  clusterroles: "Name|Created At",
  clusterrolebindings: "Name|Role|Age|(Users)|(Groups)|(ServiceAccounts)"
}

/** The cells of the sample; `*` is what differs from one time to the next. */
const cells: Readonly<Record<Resource, string>> = {
  pods: "shown|0/1|Pending|0|*|<none>|<none>|<none>|<none>",
  events: "*|Normal|Tested|pod/some||test|a test wrote this|*|1|shown",
  namespaces: "shown|Active|*",
  nodes: "minicluster|Ready|*|*|v1.32.0|127.0.0.1|<none>|*|*|*",
  configmaps: "shown|1|*",
  secrets: "shown|Opaque|1|*",
  serviceaccounts: "shown|0|*",
  persistentvolumeclaims: "shown|Bound|*|1Gi|RWO|standard|<unset>|*|Filesystem",
  leases: "shown|somebody|*",
  roles: "shown|*",
  rolebindings: "shown|Role/some|*|somebody||",
  clusterroles: "shown|*",
  clusterrolebindings: "shown|ClusterRole/some|*|somebody||"
}

layer(clusterLayer(), { excludeTestServices: true })("a table", (it) => {
  for (const resource of resources) {
    it.effect(`of ${resource} has kubectl's columns and cells`, () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        const name = resource === "nodes" ? "minicluster" : "shown"
        if (resource !== "nodes") yield* create(cluster, resource, { name })
        const path = `${pathOf(resource)}?fieldSelector=metadata.name%3D${name}`
        const { body } = yield* call(cluster, "GET", path, asTable)
        assert.deepStrictEqual([textAt(body, "kind"), textAt(body, "apiVersion")], ["Table", "meta.k8s.io/v1"])
        const heads = listAt(body, "columnDefinitions").map((column) =>
          textAt(column, "priority") === "1" ? `(${textAt(column, "name")})` : textAt(column, "name")
        )
        assert.strictEqual(heads.join("|"), columns[resource])
        const shown = listAt(body, "rows", 0, "cells").map(String)
        const expected = cells[resource].split("|")
        assert.deepStrictEqual(shown.map((cell, index) => expected[index] === "*" ? "*" : cell), expected)
        const one = yield* call(cluster, "GET", `${pathOf(resource)}/${name}`, asTable)
        assert.deepStrictEqual(textAt(one.body, "rows", 0, "object", "metadata", "name"), name)
        assert.strictEqual(textAt(one.body, "rows", 0, "object", "kind"), "PartialObjectMetadata")
      }))
  }

  it.effect("carries as much of each object as includeObject asks for", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* create(cluster, "configmaps", { name: "carried" })
      const row = (query: string) =>
        Effect.map(
          call(cluster, "GET", `${configmaps}?fieldSelector=metadata.name%3Dcarried${query}`, asTable),
          ({ body }) => listAt(body, "rows")[0]
        )
      assert.strictEqual(textAt(yield* row("&includeObject=Object"), "object", "data", "key"), "value")
      assert.strictEqual(textAt(yield* row("&includeObject=Metadata"), "object", "data", "key"), "")
      assert.isNull(at(yield* row("&includeObject=None"), "object"))
    }))

  it.effect("tells the state of a pod as it goes on", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const shown = (name: string) =>
        Effect.map(
          call(cluster, "GET", `${pathOf("pods")}/${name}`, asTable),
          ({ body }) => listAt(body, "rows", 0, "cells").slice(1, 3).join(" ")
        )
      const pod = (name: string, script: string, spec: object, image?: string) =>
        call(cluster, "POST", pathOf("pods"), { body: podBody(name, script, spec, image) })
      const becomes = (name: string, phase: string) =>
        until(cluster, `${pathOf("pods")}/${name}`, ({ body }) => textAt(body, "status", "phase") === phase)
      yield* pod("done", "exit 0", { restartPolicy: "Never" })
      yield* pod("failed", "exit 3", { restartPolicy: "Never" })
      yield* pod("gated", "exit 0", { schedulingGates: [{ name: "kuberun.test/gate" }] })
      yield* becomes("done", "Succeeded")
      yield* becomes("failed", "Failed")
      assert.deepStrictEqual([yield* shown("done"), yield* shown("failed"), yield* shown("gated")], [
        "0/1 Completed",
        "0/1 Error",
        "0/1 SchedulingGated"
      ])
    }))
})
