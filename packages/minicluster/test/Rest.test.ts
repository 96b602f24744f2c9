import { assert, describe, layer } from "@effect/vitest"
import { layer as clusterLayer, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import { groupVersion, qualifiedName, resourceTypes, verbsOf } from "../src/shapes/Resources.ts"
import {
  at,
  call,
  type CallOptions,
  follow,
  listAt,
  podBody,
  pods,
  runningPod,
  textAt,
  until
} from "./support/Client.ts"
import { create, pathOf, refusalOf, resources, samples, uidOf, versionOf } from "./support/Samples.ts"

const patchTypes = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml"
}
const merging = (body: object): CallOptions => ({ body, contentType: patchTypes.merge })
const configmaps = pathOf("configmaps")
const modified = "the object has been modified; please apply your changes to the latest version and try again"

layer(clusterLayer(), { excludeTestServices: true })("every resource", (it) => {
  for (const resource of resources) {
    const type = resourceTypes[resource]
    const may = (verb: string) => verbsOf(type).includes(verb)
    const collection = pathOf(resource)
    // What nobody can create is there from the start.
    const name = may("create") ? "trip" : "minicluster"
    const one = `${collection}/${name}`
    const place = { name, kind: resource, ...(type.group === "" ? {} : { group: type.group }) }

    it.effect(`${resource}: an object goes through its whole life, seen by a watch`, () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        const before = yield* call(cluster, "GET", collection)
        assert.deepStrictEqual([textAt(before.body, "kind"), textAt(before.body, "apiVersion")], [
          `${type.kind}List`,
          groupVersion(type)
        ])
        const watch = yield* follow(
          cluster,
          `${collection}?watch=true&fieldSelector=metadata.name%3D${name}&resourceVersion=${versionOf(before)}`
        )
        if (may("create")) {
          assert.deepStrictEqual(refusalOf(yield* call(cluster, "GET", one)), [
            404,
            "NotFound",
            `${qualifiedName(resource)} "${name}" not found`
          ])
          const created = yield* create(cluster, resource, { name })
          assert.strictEqual(created.code, 201)
          assert.match(uidOf(created), /^[0-9a-f-]{36}$/)
          assert.match(textAt(created.body, "metadata", "creationTimestamp"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
          const again = yield* create(cluster, resource, { name })
          assert.deepStrictEqual(refusalOf(again), [
            409,
            "AlreadyExists",
            `${qualifiedName(resource)} "${name}" already exists`
          ])
          assert.deepStrictEqual(at(again.body, "details"), place)
        } else {
          assert.strictEqual((yield* create(cluster, resource, { name: "other" })).code, 405)
          assert.strictEqual((yield* call(cluster, "DELETE", one)).code, 405)
        }
        const got = yield* call(cluster, "GET", one)
        assert.deepStrictEqual([textAt(got.body, "kind"), textAt(got.body, "apiVersion")], [
          type.kind,
          groupVersion(type)
        ])
        const items = listAt((yield* call(cluster, "GET", collection)).body, "items")
        const listed = items.find((item) => textAt(item, "metadata", "name") === name)
        assert.strictEqual(textAt(listed, "metadata", "uid"), uidOf(got))

        const labels = (label: string) => ({ metadata: { labels: { [label]: "yes" } } })
        const patches = {
          json: [{ op: "add", path: "/metadata/annotations", value: { json: "yes" } }],
          merge: labels("merge"),
          strategic: labels("strategic"),
          apply: { apiVersion: groupVersion(type), kind: type.kind, ...labels("apply") }
        }
        for (const form of ["json", "merge", "strategic", "apply"] as const) {
          const patched = yield* call(cluster, "PATCH", one, { body: patches[form], contentType: patchTypes[form] })
          assert.strictEqual(patched.code, 200, form)
          const where = form === "json" ? "annotations" : "labels"
          assert.strictEqual(textAt(patched.body, "metadata", where, form), "yes")
          assert.isAbove(Number(versionOf(patched)), Number(versionOf(got)))
        }
        const { body: object } = yield* call(cluster, "GET", one)
        const { metadata } = object as { readonly metadata: object }
        const put = yield* call(cluster, "PUT", one, {
          body: { ...object as object, metadata: { ...metadata, annotations: { put: "yes" } } }
        })
        assert.deepStrictEqual([put.code, uidOf(put), at(put.body, "metadata", "annotations", "put")], [
          200,
          uidOf(got),
          "yes"
        ])
        const seen = () => watch.events().filter((event) => textAt(event, "object", "metadata", "uid") === uidOf(got))
        yield* watch.until(() =>
          seen().some((event) => at(event, "object", "metadata", "annotations", "put") === "yes")
        )
        if (may("delete")) {
          const deleted = yield* call(cluster, "DELETE", one)
          assert.strictEqual(deleted.code, 200)
          if (resource !== "pods" && resource !== "namespaces") {
            assert.deepStrictEqual(deleted.body, {
              kind: "Status",
              apiVersion: "v1",
              metadata: {},
              status: "Success",
              details: { ...place, uid: uidOf(got) }
            })
          } else assert.strictEqual(textAt(deleted.body, "kind"), type.kind)
          yield* until(cluster, one, ({ code }) => code === 404)
          yield* watch.until((events) => textAt(events.at(-1), "type") === "DELETED")
        }
        const types = seen().map((event) => textAt(event, "type"))
        assert.strictEqual(types[0], may("create") ? "ADDED" : "MODIFIED")
        assert.strictEqual(types.lastIndexOf("ADDED"), may("create") ? 0 : -1)
        assert.isAtLeast(types.filter((type) => type === "MODIFIED").length, 5)
        const versions = seen().map((event) => Number(textAt(event, "object", "metadata", "resourceVersion")))
        assert.deepStrictEqual(versions, Array.from(new Set(versions)).toSorted((a, b) => a - b))
      }))

    it.effect(`${resource}: a dry run answers as the real one does, and stores nothing`, () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        const dry = (method: string, name: string, options: CallOptions = {}) =>
          call(cluster, method, `${collection}${name}?dryRun=All`, options)
        const name = may("create") ? "dry" : "minicluster"
        if (may("create")) {
          const answer = yield* dry("POST", "", { body: { ...samples[resource], metadata: { name } } })
          assert.deepStrictEqual([answer.code, uidOf(answer).length], [201, 36])
          assert.strictEqual((yield* call(cluster, "GET", `${collection}/${name}`)).code, 404)
          yield* create(cluster, resource, { name })
        }
        const { body: before } = yield* call(cluster, "GET", `${collection}/${name}`)
        const changed = { metadata: { labels: { dry: "run" } } }
        const patched = yield* dry("PATCH", `/${name}`, merging(changed))
        assert.deepStrictEqual([patched.code, at(patched.body, "metadata", "labels", "dry")], [200, "run"])
        const { metadata } = before as { readonly metadata: object }
        const put = yield* dry("PUT", `/${name}`, {
          body: { ...before as object, metadata: { ...metadata, ...changed.metadata } }
        })
        assert.deepStrictEqual([put.code, at(put.body, "metadata", "labels", "dry")], [200, "run"])
        if (may("delete")) {
          assert.strictEqual((yield* dry("DELETE", `/${name}`)).code, 200)
          const inBody = yield* call(cluster, "DELETE", `${collection}/${name}`, { body: { dryRun: ["All"] } })
          assert.strictEqual(inBody.code, 200)
        }
        if (may("deletecollection")) assert.strictEqual((yield* dry("DELETE", "")).code, 200)
        const after = yield* call(cluster, "GET", `${collection}/${name}`)
        // A node's heartbeat goes on meanwhile.
        if (may("create")) assert.deepStrictEqual(after.body, before)
        assert.isUndefined(at(after.body, "metadata", "labels", "dry"))
      }))

    it.effect(`${resource}: a collection is deleted as far as it is selected${may("deletecollection") ? "" : ": 405"}`, () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        const selected = `${collection}?labelSelector=some%3Dyes`
        if (!may("deletecollection")) {
          return assert.strictEqual((yield* call(cluster, "DELETE", selected)).code, 405)
        }
        yield* create(cluster, resource, { name: "some-a", labels: { some: "yes" } })
        yield* create(cluster, resource, { name: "some-b", labels: { some: "yes" } })
        yield* create(cluster, resource, { name: "other", labels: { some: "no" } })
        const deleted = yield* call(cluster, "DELETE", selected)
        assert.deepStrictEqual([deleted.code, listAt(deleted.body, "items").length], [200, 2])
        assert.strictEqual(listAt((yield* call(cluster, "GET", selected)).body, "items").length, 0)
        assert.strictEqual((yield* call(cluster, "GET", `${collection}/other`)).code, 200)
      }))
  }
})

layer(clusterLayer(), { excludeTestServices: true })("an object", (it) => {
  it.effect("is changed by one of several who read the same version, and the others are told to read again", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const { body } = yield* create(cluster, "configmaps", { name: "contended" })
      const puts = Array.from(
        { length: 8 },
        (_, index) =>
          call(cluster, "PUT", `${configmaps}/contended`, { body: { ...body as object, data: { by: String(index) } } })
      )
      const answers = yield* Effect.all(puts, { concurrency: "unbounded" })
      const [accepted, ...more] = answers.filter(({ code }) => code === 200)
      assert.strictEqual(more.length, 0)
      for (const refused of answers.filter((answer) => answer !== accepted)) {
        assert.deepStrictEqual(refusalOf(refused), [
          409,
          "Conflict",
          `Operation cannot be fulfilled on configmaps "contended": ${modified}`
        ])
      }
      const now = yield* call(cluster, "GET", `${configmaps}/contended`)
      assert.deepStrictEqual(at(now.body, "data"), at(accepted?.body, "data"))
      const nameless = yield* call(cluster, "PUT", `${configmaps}/contended`, { body: { data: { by: "force" } } })
      assert.deepStrictEqual([nameless.code, textAt(nameless.body, "message")], [
        400,
        "the name of the object (contended based on URL) was undeterminable: name must be provided"
      ])
      const unconditional = yield* call(cluster, "PUT", `${configmaps}/contended`, {
        body: { metadata: { name: "contended" }, data: { by: "force" } }
      })
      assert.strictEqual(unconditional.code, 200)
    }))

  it.effect("takes all patches without a version that come at once, and of those with one the first", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const created = yield* create(cluster, "configmaps", { name: "patched" })
      const all = yield* Effect.forEach(
        ["a", "b", "c", "d"],
        (key) => call(cluster, "PATCH", `${configmaps}/patched`, merging({ data: { [key]: "1" } })),
        { concurrency: 4 }
      )
      assert.deepStrictEqual(all.map(({ code }) => code), [200, 200, 200, 200])
      const now = yield* call(cluster, "GET", `${configmaps}/patched`)
      assert.deepStrictEqual(Object.keys(at(now.body, "data") as object).toSorted(), ["a", "b", "c", "d", "key"])
      const stale = yield* call(
        cluster,
        "PATCH",
        `${configmaps}/patched`,
        merging({ metadata: { resourceVersion: versionOf(created) }, data: { e: "1" } })
      )
      assert.deepStrictEqual(refusalOf(stale), [
        409,
        "Conflict",
        `Operation cannot be fulfilled on configmaps "patched": ${modified}`
      ])
    }))

  it.effect("that is not there is made by an apply, and by no other patch", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied" }, data: { key: "1" } }
      const patch = (contentType: string, query = "") =>
        call(cluster, "PATCH", `${configmaps}/applied${query}`, { body, contentType })
      assert.strictEqual((yield* patch(patchTypes.merge)).code, 404)
      assert.strictEqual((yield* patch(patchTypes.strategic)).code, 404)
      assert.strictEqual((yield* patch(patchTypes.apply, "?dryRun=All&fieldManager=test")).code, 201)
      assert.strictEqual((yield* call(cluster, "GET", `${configmaps}/applied`)).code, 404)
      const [made, again] = [yield* patch(patchTypes.apply), yield* patch(patchTypes.apply)]
      assert.deepStrictEqual([made.code, again.code, versionOf(again)], [201, 200, versionOf(made)])
    }))

  it.effect("keeps its version when a change changes nothing", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const created = yield* create(cluster, "configmaps", { name: "still", labels: { a: "1" } })
      const patched = yield* call(
        cluster,
        "PATCH",
        `${configmaps}/still`,
        merging({ metadata: { labels: { a: "1" } } })
      )
      const put = yield* call(cluster, "PUT", `${configmaps}/still`, { body: created.body })
      assert.deepStrictEqual([versionOf(patched), versionOf(put)], [versionOf(created), versionOf(created)])
    }))

  it.effect("is not changed, and not deleted, in the place of another: by uid and by version", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const created = yield* create(cluster, "configmaps", { name: "identity" })
      const one = `${configmaps}/identity`
      const other = "00000000-0000-0000-0000-000000000000"
      const lead = `Operation cannot be fulfilled on configmaps "identity": Precondition failed: `
      const put = yield* call(cluster, "PUT", one, { body: { metadata: { name: "identity", uid: other } } })
      assert.deepStrictEqual(refusalOf(put), [
        409,
        "Conflict",
        `${lead}UID in precondition: ${other}, UID in object meta: ${uidOf(created)}`
      ])
      const refuse = (preconditions: object) =>
        Effect.map(call(cluster, "DELETE", one, { body: { preconditions } }), refusalOf)
      assert.deepStrictEqual(yield* refuse({ uid: other }), refusalOf(put))
      assert.deepStrictEqual(yield* refuse({ uid: uidOf(created), resourceVersion: "1" }), [
        409,
        "Conflict",
        `${lead}ResourceVersion in precondition: 1, ResourceVersion in object meta: ${versionOf(created)}`
      ])
      const right = { uid: uidOf(created), resourceVersion: versionOf(created) }
      assert.strictEqual((yield* call(cluster, "DELETE", one, { body: { preconditions: right } })).code, 200)
    }))

  it.effect("is refused where its body, its URL and its namespace do not agree", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* create(cluster, "configmaps", { name: "agreed" })
      const put = (metadata: object) =>
        Effect.map(call(cluster, "PUT", `${configmaps}/agreed`, { body: { metadata } }), refusalOf)
      assert.deepStrictEqual(yield* put({ name: "other" }), [
        400,
        "BadRequest",
        "the name of the object (other) does not match the name on the URL (agreed)"
      ])
      const namespace = "the namespace of the provided object does not match the namespace sent on the request"
      assert.deepStrictEqual(yield* put({ name: "agreed", namespace: "kube-system" }), [400, "BadRequest", namespace])
      const created = yield* create(cluster, "configmaps", { name: "new", namespace: "kube-system" })
      assert.deepStrictEqual(refusalOf(created), [400, "BadRequest", namespace])
      const versioned = yield* create(cluster, "configmaps", { name: "new", resourceVersion: "1" })
      assert.deepStrictEqual(refusalOf(versioned), [
        400,
        "BadRequest",
        "resourceVersion should not be set on objects to be created"
      ])
      const nowhere = yield* create(cluster, "configmaps", { name: "new" }, "nowhere")
      assert.deepStrictEqual(refusalOf(nowhere), [404, "NotFound", `namespaces "nowhere" not found`])
    }))

  it.effect("of a generateName gets five more characters, another name each time", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const base = "x".repeat(70)
      const names = yield* Effect.forEach([base, "made-", "made-"], (generateName) =>
        Effect.map(create(cluster, "configmaps", { generateName }), ({ body }) =>
          textAt(body, "metadata", "name")))
      assert.match(names[0] ?? "", /^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/)
      assert.match(names[1] ?? "", /^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
      assert.notStrictEqual(names[1], names[2])
      const nameless = yield* create(cluster, "configmaps", {})
      assert.deepStrictEqual([nameless.code, textAt(nameless.body, "details", "causes", 0, "field")], [
        422,
        "metadata.name"
      ])
    }))

  it.effect("cannot have the server's metadata, nor a status, by its author's word", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const claimed = {
        uid: "mine",
        creationTimestamp: "2000-01-01T00:00:00Z",
        deletionTimestamp: "2000-01-01T00:00:00Z"
      }
      const created = yield* call(cluster, "POST", pods, {
        body: {
          ...samples.pods,
          metadata: { name: "humble", ...claimed },
          status: { phase: "Running", podIP: "10.0.0.1" }
        }
      })
      assert.notStrictEqual(uidOf(created), "mine")
      assert.notStrictEqual(textAt(created.body, "metadata", "creationTimestamp"), claimed.creationTimestamp)
      assert.isUndefined(at(created.body, "metadata", "deletionTimestamp"))
      assert.deepStrictEqual([textAt(created.body, "status", "phase"), at(created.body, "status", "podIP")], [
        "Pending",
        undefined
      ])
      const claim = yield* call(cluster, "PATCH", `${pods}/humble`, merging({ metadata: claimed }))
      assert.deepStrictEqual([claim.code, textAt(claim.body, "reason")], [422, "Invalid"])
      const patched = yield* call(cluster, "PATCH", `${pods}/humble`, merging({ metadata: { uid: "mine" } }))
      // Not a conflict, as with PUT: a patch is no whole object, whose uid would be a precondition.
      assert.deepStrictEqual(refusalOf(patched), [
        422,
        "Invalid",
        "Pod \"humble\" is invalid: metadata.uid: Invalid value: \"mine\": field is immutable"
      ])
      const versioned = { metadata: { ...claimed, resourceVersion: "1" } }
      const outdated = yield* call(cluster, "PATCH", `${pods}/humble`, merging(versioned))
      assert.deepStrictEqual([outdated.code, textAt(outdated.body, "reason")], [409, "Conflict"])
      const now = yield* call(cluster, "GET", `${pods}/humble`)
      assert.deepStrictEqual(at(now.body, "metadata"), at(created.body, "metadata"))
    }))

  it.effect("has warnings for unknown fields, or is refused for them, as fieldValidation says", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const body = { metadata: { name: "fields" }, data: {}, nonsense: 1 }
      const post = (query: string) => call(cluster, "POST", `${configmaps}?dryRun=All${query}`, { body })
      const strict = yield* post("&fieldValidation=Strict")
      assert.deepStrictEqual(refusalOf(strict), [
        400,
        "BadRequest",
        `ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "nonsense"`
      ])
      const warned = yield* post("")
      assert.deepStrictEqual([warned.code, warned.warning], [201, `299 - "unknown field \\"nonsense\\""`])
      const ignored = yield* post("&fieldValidation=Ignore")
      assert.deepStrictEqual([ignored.code, ignored.warning], [201, ""])
    }))
})

layer(clusterLayer(), { excludeTestServices: true })("a subresource", (it) => {
  describe("status", () => {
    it.effect("changes the status and nothing else, and nothing else changes the status", () =>
      Effect.gen(function*() {
        const cluster = yield* MiniclusterService
        for (const resource of ["pods", "namespaces", "persistentvolumeclaims"] as const) {
          yield* create(cluster, resource, { name: "state" })
          const one = `${pathOf(resource)}/state`
          const { body: before } = yield* call(cluster, "GET", one)
          const reason = { conditions: [{ type: "Tested", status: "True", reason: "ByTest", message: "" }] }
          const sent = {
            metadata: { labels: { sent: "yes" } },
            spec: { hostname: "sent", volumeName: "sent" },
            status: reason
          }
          const byStatus = yield* call(cluster, "PATCH", `${one}/status`, merging(sent))
          assert.strictEqual(byStatus.code, 200)
          assert.strictEqual(textAt(byStatus.body, "status", "conditions", 0, "reason"), "ByTest")
          assert.deepStrictEqual(at(byStatus.body, "spec"), at(before, "spec"))
          assert.deepStrictEqual(at(byStatus.body, "metadata", "labels"), at(before, "metadata", "labels"))
          const got = yield* call(cluster, "GET", `${one}/status`)
          assert.deepStrictEqual(got.body, byStatus.body)
          const labelled = yield* call(
            cluster,
            "PATCH",
            one,
            merging({ metadata: sent.metadata, status: { conditions: null, phase: "Sent" } })
          )
          assert.strictEqual(labelled.code, 200)
          assert.strictEqual(textAt(labelled.body, "metadata", "labels", "sent"), "yes")
          assert.deepStrictEqual(at(labelled.body, "status"), at(byStatus.body, "status"))
          const put = yield* call(cluster, "PUT", `${one}/status`, {
            body: { ...labelled.body as object, status: { phase: textAt(before, "status", "phase") } }
          })
          assert.deepStrictEqual([put.code, at(put.body, "status", "conditions")], [200, undefined])
        }
      }))
  })

  it.effect("that a resource does not have is not found, nor one of an object that is not there", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* create(cluster, "configmaps", { name: "plain" })
      assert.strictEqual((yield* call(cluster, "GET", `${configmaps}/plain/status`)).code, 404)
      assert.deepStrictEqual(refusalOf(yield* call(cluster, "GET", `${pods}/absent/status`)), [
        404,
        "NotFound",
        `pods "absent" not found`
      ])
      assert.strictEqual((yield* call(cluster, "DELETE", `${pods}/absent/status`)).code, 405)
      const raw = yield* call(cluster, "POST", `${pods}/absent/exec?command=true&stdout=true`)
      assert.strictEqual(raw.code, 404)
    }))

  it.effect("eviction deletes a pod and says why; dry, it does nothing", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const body = (more: object) => ({
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: { name: "evicted" },
        ...more
      })
      const pod = yield* runningPod(cluster, podBody("evicted", "trap '' TERM; while :; do sleep 0.1; done"))
      const evict = (more: object) => call(cluster, "POST", `${pods}/evicted/eviction`, { body: body(more) })
      assert.strictEqual((yield* evict({ deleteOptions: { dryRun: ["All"] } })).code, 201)
      assert.isUndefined(at((yield* call(cluster, "GET", `${pods}/evicted`)).body, "metadata", "deletionTimestamp"))
      const wrong = yield* evict({ deleteOptions: { preconditions: { uid: "other" } } })
      assert.deepStrictEqual([wrong.code, textAt(wrong.body, "reason")], [409, "Conflict"])
      const { body: spared } = yield* call(cluster, "GET", `${pods}/evicted`)
      assert.isFalse(listAt(spared, "status", "conditions").some((one) => textAt(one, "type") === "DisruptionTarget"))
      const preconditions = { uid: uidOf(pod), resourceVersion: versionOf({ ...pod, body: spared }) }
      const evicted = yield* evict({ deleteOptions: { gracePeriodSeconds: 600, preconditions } })
      assert.deepStrictEqual([evicted.code, textAt(evicted.body, "status")], [201, "Success"])
      const { body: going } = yield* call(cluster, "GET", `${pods}/evicted`)
      assert.strictEqual(at(going, "metadata", "deletionGracePeriodSeconds"), 600)
      const why = listAt(going, "status", "conditions").find((one) => textAt(one, "type") === "DisruptionTarget")
      assert.deepStrictEqual([textAt(why, "status"), textAt(why, "reason"), textAt(why, "message")], [
        "True",
        "EvictionByEvictionAPI",
        "Eviction API: evicting"
      ])
      assert.strictEqual((yield* call(cluster, "POST", `${pods}/absent/eviction`, { body: body({}) })).code, 404)
    }))

  it.effect("ephemeralcontainers adds containers to a pod that runs, and changes nothing else", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const before = yield* runningPod(cluster, podBody("debugged"))
      const debug = { name: "debug", image: "busybox", command: ["sh", "-c", "sleep 1000"] }
      const strategic = (spec: object) =>
        call(cluster, "PATCH", `${pods}/debugged/ephemeralcontainers`, {
          body: { metadata: { labels: { sent: "yes" } }, spec },
          contentType: patchTypes.strategic
        })
      const added = yield* strategic({ ephemeralContainers: [debug], nodeName: "other" })
      assert.strictEqual(added.code, 200)
      assert.strictEqual(textAt(added.body, "spec", "ephemeralContainers", 0, "name"), "debug")
      assert.isUndefined(at(added.body, "metadata", "labels", "sent"))
      assert.deepStrictEqual(at(added.body, "spec", "nodeName"), at(before.body, "spec", "nodeName"))
      yield* until(
        cluster,
        `${pods}/debugged`,
        ({ body }) => at(body, "status", "ephemeralContainerStatuses", 0, "state", "running") !== undefined
      )
      const changed = yield* strategic({ ephemeralContainers: [{ ...debug, image: "other" }] })
      assert.deepStrictEqual([changed.code, textAt(changed.body, "reason")], [422, "Invalid"])
      const main = yield* call(cluster, "PATCH", `${pods}/debugged`, merging({ spec: { ephemeralContainers: [] } }))
      assert.strictEqual(main.code, 422)
    }))
})
