import { assert, layer } from "@effect/vitest"
import { layer as clusterLayer, type Minicluster, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { groupVersion, resourceTypes, reviewTypes } from "../src/shapes/Resources.ts"
import { at, call, type Json, listAt, textAt } from "./support/Client.ts"

/** What kubectl asks for. */
const accept =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"

const wordsAt = (value: Json, ...path: ReadonlyArray<string>) => listAt(value, ...path).map(String)

/** One line for each resource and subresource: what a client learns of it. */
const lineOf = (
  where: string,
  { kind, names, namespaced, verbs }: {
    readonly kind: string
    readonly names: ReadonlyArray<string>
    readonly namespaced: boolean
    readonly verbs: ReadonlyArray<string>
  }
) => `${where} ${kind} ${namespaced ? "in a namespace" : "in none"} [${names.join()}] ${verbs.toSorted().join()}`

const legacy = Effect.fnUntraced(function*(cluster: Minicluster) {
  const { body: groups } = yield* call(cluster, "GET", "/apis")
  const named = listAt(groups, "groups").flatMap((group) =>
    listAt(group, "versions").map((version) => `/apis/${textAt(version, "groupVersion")}`)
  )
  const lists = yield* Effect.forEach(["/api/v1", ...named], (path) => call(cluster, "GET", path))
  return lists.flatMap(({ body }) =>
    listAt(body, "resources").map((resource) => {
      const own = textAt(resource, "group") === "" ? "" : `${textAt(resource, "group")}/${textAt(resource, "version")}/`
      return lineOf(`${textAt(body, "groupVersion")} ${textAt(resource, "name")}`, {
        kind: `${own}${textAt(resource, "kind")}`,
        names: [
          textAt(resource, "singularName"),
          ...wordsAt(resource, "shortNames"),
          ...wordsAt(resource, "categories")
        ],
        namespaced: at(resource, "namespaced") === true,
        verbs: wordsAt(resource, "verbs")
      })
    })
  )
})

const aggregated = Effect.fnUntraced(function*(cluster: Minicluster) {
  const answers = yield* Effect.forEach(["/api", "/apis"], (path) => call(cluster, "GET", path, { accept }))
  for (const { body, contentType } of answers) {
    assert.strictEqual(contentType, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    assert.deepStrictEqual([textAt(body, "kind"), textAt(body, "apiVersion")], [
      "APIGroupDiscoveryList",
      "apidiscovery.k8s.io/v2"
    ])
  }
  return answers.flatMap(({ body }) => listAt(body, "items")).flatMap((item) => {
    const group = textAt(item, "metadata", "name")
    return listAt(item, "versions").flatMap((one) => {
      const version = textAt(one, "version")
      const kindOf = (entry: Json) => {
        const [kindGroup, kindVersion, kind] = ["group", "version", "kind"].map((key) =>
          textAt(entry, "responseKind", key)
        )
        return kindGroup === group && kindVersion === version ? kind ?? "" : `${kindGroup}/${kindVersion}/${kind}`
      }
      return listAt(one, "resources").flatMap((resource) => {
        const where = `${groupVersion({ group, version })} ${textAt(resource, "resource")}`
        const namespaced = textAt(resource, "scope") === "Namespaced"
        const names = [
          textAt(resource, "singularResource"),
          ...wordsAt(resource, "shortNames"),
          ...wordsAt(resource, "categories")
        ]
        return [
          lineOf(where, { kind: kindOf(resource), names, namespaced, verbs: wordsAt(resource, "verbs") }),
          ...listAt(resource, "subresources").map((sub) =>
            lineOf(`${where}/${textAt(sub, "subresource")}`, {
              kind: kindOf(sub),
              names: [""],
              namespaced,
              verbs: wordsAt(sub, "verbs")
            })
          )
        ]
      })
    })
  })
})

layer(clusterLayer(), { excludeTestServices: true })("discovery", (it) => {
  it.effect("tells the same resources, subresources and verbs, aggregated and one by one", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const lines = yield* legacy(cluster)
      assert.deepStrictEqual((yield* aggregated(cluster)).toSorted(), lines.toSorted())
      const types = Object.entries({ ...resourceTypes, ...reviewTypes })
      for (const [name, type] of types) {
        assert.isTrue(lines.some((line) => line.startsWith(`${groupVersion(type)} ${name} `)), name)
      }
      const subresources = types.reduce((sum, [, type]) => sum + Object.keys(type.subresources ?? {}).length, 0)
      assert.strictEqual(lines.length, types.length + subresources)
      assert.include(
        lines,
        "v1 pods Pod in a namespace [pod,po,all] create,delete,deletecollection,get,list,patch,update,watch"
      )
      assert.include(lines, "v1 pods/eviction policy/v1/Eviction in a namespace [] create")
      assert.include(lines, "v1 serviceaccounts/token authentication.k8s.io/v1/TokenRequest in a namespace [] create")
    }))

  it.effect("tells groups, versions, and paths in the old way too", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const api = yield* call(cluster, "GET", "/api")
      assert.deepStrictEqual([textAt(api.body, "kind"), listAt(api.body, "versions")], ["APIVersions", ["v1"]])
      assert.strictEqual(
        `https://${textAt(api.body, "serverAddressByClientCIDRs", 0, "serverAddress")}`,
        cluster.url
      )
      const apis = yield* call(cluster, "GET", "/apis")
      assert.strictEqual(textAt(apis.body, "kind"), "APIGroupList")
      for (const group of listAt(apis.body, "groups")) {
        const one = yield* call(cluster, "GET", `/apis/${textAt(group, "name")}`)
        assert.deepStrictEqual(one.body, { kind: "APIGroup", apiVersion: "v1", ...group as object })
      }
      const paths = yield* call(cluster, "GET", "/")
      for (const path of wordsAt(paths.body, "paths")) {
        assert.strictEqual((yield* call(cluster, "GET", path)).code, 200, path)
      }
      assert.strictEqual((yield* call(cluster, "GET", "/apis/apps")).code, 404)
      assert.strictEqual((yield* call(cluster, "GET", "/apis/rbac.authorization.k8s.io/v2")).code, 404)
    }))
})
