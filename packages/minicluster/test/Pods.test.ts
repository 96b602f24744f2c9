import { assert, layer } from "@effect/vitest"
import { layer as clusterLayer, MiniclusterService } from "@kuberun/minicluster"
import { Effect } from "effect"
import {
  at,
  call,
  eventually,
  follow,
  listAt,
  outputOf,
  podBody,
  pods,
  runningPod,
  textAt,
  until
} from "./support/Client.ts"

const tableAccept =
  "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
const mergeType = "application/merge-patch+json"
const causesOf = (body: unknown) =>
  listAt(body, "details", "causes").map((cause) => `${textAt(cause, "field")} ${textAt(cause, "reason")}`)
const namesOf = (body: unknown) => listAt(body, "items").map((item) => textAt(item, "metadata", "name")).toSorted()

layer(clusterLayer(), { excludeTestServices: true })("pods", (it) => {
  it.effect("are created, got and listed with what the server adds, and refused under a name that is taken", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const created = yield* call(cluster, "POST", pods, { body: podBody("one", "", { unknownField: {} }) })
      assert.strictEqual(created.code, 201)
      assert.strictEqual(textAt(created.body, "status", "phase"), "Pending")
      assert.match(textAt(created.body, "metadata", "creationTimestamp"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      const again = yield* call(cluster, "POST", pods, { body: podBody("one") })
      assert.deepStrictEqual([again.code, textAt(again.body, "reason"), textAt(again.body, "message")], [
        409,
        "AlreadyExists",
        `pods "one" already exists`
      ])
      const got = yield* call(cluster, "GET", `${pods}/one`)
      assert.isUndefined(at(got.body, "spec", "unknownField"))
      assert.strictEqual(textAt(got.body, "metadata", "uid"), textAt(created.body, "metadata", "uid"))
      const listed = yield* call(cluster, "GET", "/api/v1/pods?limit=500")
      assert.strictEqual(textAt(listed.body, "kind"), "PodList")
      assert.include(namesOf(listed.body), "one")
      const missing = yield* call(cluster, "GET", `${pods}/two`)
      assert.deepStrictEqual(missing.body, {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        message: `pods "two" not found`,
        reason: "NotFound",
        details: { name: "two", kind: "pods" },
        code: 404
      })
      const dry = yield* call(cluster, "POST", `${pods}?dryRun=All`, { body: podBody("dry") })
      assert.strictEqual(dry.code, 201)
      assert.strictEqual((yield* call(cluster, "GET", `${pods}/dry`)).code, 404)
    }))

  it.effect("get names for a generateName, each another", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const body = { ...podBody(""), metadata: { generateName: "made-" } }
      const names = yield* Effect.forEach([1, 2, 3], () =>
        Effect.map(call(cluster, "POST", pods, { body }), (answer) => textAt(answer.body, "metadata", "name")))
      for (const name of names) {
        assert.match(name, /^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
      }
      assert.strictEqual(new Set(names).size, 3)
    }))

  it.effect("are judged with all causes at once", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const refused = (body: object) => call(cluster, "POST", pods, { body })
      const many = yield* refused({
        metadata: { name: "Bad_Name", labels: { "-x": "ok", good: "not good" } },
        spec: {
          restartPolicy: "Sometimes",
          containers: [{ name: "a" }, { name: "a", image: "b" }, { name: "B", image: "b", env: [{}] }]
        }
      })
      assert.deepStrictEqual([many.code, textAt(many.body, "reason")], [422, "Invalid"])
      assert.match(
        textAt(many.body, "message"),
        /^Pod "Bad_Name" is invalid: \[metadata\.name: Invalid value: "Bad_Name": /
      )
      assert.deepStrictEqual(causesOf(many.body), [
        "metadata.name FieldValueInvalid",
        "metadata.labels FieldValueInvalid",
        "metadata.labels FieldValueInvalid",
        "spec.containers[0].image FieldValueRequired",
        "spec.containers[1].name FieldValueDuplicate",
        "spec.containers[2].name FieldValueInvalid",
        "spec.containers[2].env[0].name FieldValueRequired",
        "spec.restartPolicy FieldValueNotSupported"
      ])
      const nothing = yield* refused({ metadata: {}, spec: {} })
      assert.deepStrictEqual(causesOf(nothing.body), [
        "metadata.name FieldValueRequired",
        "spec.containers FieldValueRequired"
      ])
      assert.strictEqual((yield* refused({ ...podBody("x"), kind: "Deployment" })).code, 400)
      assert.strictEqual((yield* refused({ ...podBody("x"), metadata: { name: "x", namespace: "other" } })).code, 400)
    }))

  it.effect("are refused by quota, by admission and by RBAC where their image says so", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const refused = (image: string) =>
        Effect.map(
          call(cluster, "POST", pods, { body: podBody("no", "", {}, image) }),
          ({ body, code }) => [code, textAt(body, "message")]
        )
      assert.deepStrictEqual(yield* refused("kuberun.test/quota:1"), [
        403,
        `pods "no" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=10, limited: pods=10`
      ])
      assert.deepStrictEqual(yield* refused("kuberun.test/denied"), [
        403,
        `admission webhook "policy.kuberun.test" denied the request: image kuberun.test/denied is not allowed here`
      ])
      assert.deepStrictEqual(yield* refused("kuberun.test/rbac"), [
        403,
        `pods is forbidden: User "kubernetes-admin" cannot create resource "pods" in API group "" in the namespace "default"`
      ])
    }))

  it.effect("are selected by labels and by fields", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (
        const [name, labels] of [["sel-a", { app: "x", tier: "1" }], ["sel-b", { app: "y" }], ["sel-c", {}]] as const
      ) {
        yield* runningPod(cluster, { ...podBody(name), metadata: { name, labels } })
      }
      const found = (selector: string) =>
        Effect.map(call(cluster, "GET", `${pods}?${selector}`), ({ body }) =>
          namesOf(body).filter((name) => name.startsWith("sel-")).join())
      const label = (text: string) =>
        found(`labelSelector=${encodeURIComponent(text)}`)
      assert.strictEqual(yield* label("app=x"), "sel-a")
      assert.strictEqual(yield* label("app==x,tier=1"), "sel-a")
      assert.strictEqual(yield* label("app!=x"), "sel-b,sel-c")
      assert.strictEqual(yield* label("app in (x, y),tier notin (1)"), "sel-b")
      assert.strictEqual(yield* label("app"), "sel-a,sel-b")
      assert.strictEqual(yield* label("!app"), "sel-c")
      assert.strictEqual(yield* found("fieldSelector=metadata.name%3Dsel-b"), "sel-b")
      assert.strictEqual(yield* found("fieldSelector=status.phase%3DRunning,metadata.name!%3Dsel-c"), "sel-a,sel-b")
      const unknown = yield* call(cluster, "GET", `${pods}?fieldSelector=spec.nosuch%3D1`)
      assert.deepStrictEqual([unknown.code, textAt(unknown.body, "message")], [
        400,
        "field label not supported: spec.nosuch"
      ])
      assert.strictEqual((yield* call(cluster, "GET", `${pods}?labelSelector=a(`)).code, 400)
    }))

  it.effect("are shown in kubectl's columns", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("shown"))
      const answer = yield* call(cluster, "GET", `${pods}?fieldSelector=metadata.name%3Dshown`, { accept: tableAccept })
      const columns = listAt(answer.body, "columnDefinitions").map((column) => textAt(column, "name"))
      assert.deepStrictEqual(columns, [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
        "IP",
        "Node",
        "Nominated Node",
        "Readiness Gates"
      ])
      const cells = listAt(answer.body, "rows", 0, "cells")
      assert.deepStrictEqual(cells.toSpliced(4, 1), [
        "shown",
        "1/1",
        "Running",
        "0",
        "127.0.0.1",
        "minicluster",
        "<none>",
        "<none>"
      ])
      assert.strictEqual(textAt(answer.body, "rows", 0, "object", "kind"), "PartialObjectMetadata")
    }))

  it.effect("are changed in their labels and annotations by a patch, and in nothing else", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, { ...podBody("patched"), metadata: { name: "patched", labels: { a: "1", b: "2" } } })
      const patch = (body: object, contentType = mergeType) =>
        call(cluster, "PATCH", `${pods}/patched`, { body, contentType })
      const answer = yield* patch({
        metadata: { labels: { a: null, c: "3" }, annotations: { "kuberun/x": "free text" } }
      })
      assert.strictEqual(answer.code, 200)
      assert.deepStrictEqual(at(answer.body, "metadata", "labels"), { b: "2", c: "3" })
      assert.deepStrictEqual(at(answer.body, "metadata", "annotations"), { "kuberun/x": "free text" })
      assert.strictEqual((yield* patch({ metadata: { labels: { c: "!" } } })).code, 422)
      assert.strictEqual((yield* patch({ spec: { restartPolicy: "Never" } })).code, 422)
      assert.strictEqual((yield* patch({ metadata: { resourceVersion: "1" } })).code, 409)
      const operations = [{ op: "test", path: "/metadata/labels/b", value: "2" }, {
        op: "remove",
        path: "/metadata/labels/c"
      }]
      const byOperations = yield* patch(operations, "application/json-patch+json")
      assert.deepStrictEqual(at(byOperations.body, "metadata", "labels"), { b: "2" })
      assert.strictEqual((yield* patch({}, "application/json-patch+json")).code, 400)
      assert.strictEqual((yield* patch({}, "application/json")).code, 415)
    }))

  it.effect("are deleted with their grace period: marked, then gone; a second delete hastens and never delays", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("stubborn", "trap '' TERM; while :; do sleep 0.1; done"))
      const marked = yield* call(cluster, "DELETE", `${pods}/stubborn`, { body: { gracePeriodSeconds: 600 } })
      assert.strictEqual(marked.code, 200)
      assert.deepStrictEqual([textAt(marked.body, "kind"), at(marked.body, "metadata", "deletionGracePeriodSeconds")], [
        "Pod",
        600
      ])
      assert.notStrictEqual(textAt(marked.body, "metadata", "deletionTimestamp"), "")
      yield* call(cluster, "DELETE", `${pods}/stubborn?gracePeriodSeconds=700`)
      const still = yield* call(cluster, "GET", `${pods}/stubborn`, { accept: tableAccept })
      assert.strictEqual(listAt(still.body, "rows", 0, "cells")[2], "Terminating")
      const hastened = yield* call(cluster, "DELETE", `${pods}/stubborn?gracePeriodSeconds=1`)
      assert.strictEqual(at(hastened.body, "metadata", "deletionGracePeriodSeconds"), 1)
      yield* until(cluster, `${pods}/stubborn`, ({ code }) => code === 404)
    }))

  it.effect("are deleted at once with grace 0, before they have a node, and when they have ended", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* runningPod(cluster, podBody("now", "trap '' TERM; while :; do sleep 0.1; done"))
      yield* call(cluster, "POST", pods, { body: podBody("nowhere", "", {}, "kuberun.test/unschedulable") })
      yield* call(cluster, "POST", pods, { body: podBody("over", "exit 3", { restartPolicy: "Never" }) })
      yield* until(cluster, `${pods}/over`, ({ body }) => textAt(body, "status", "phase") === "Failed")
      for (const path of ["now?gracePeriodSeconds=0", "nowhere", "over"]) {
        assert.strictEqual((yield* call(cluster, "DELETE", `${pods}/${path}`)).code, 200)
        assert.strictEqual((yield* call(cluster, "GET", `${pods}/${path}`)).code, 404)
      }
    }))

  it.effect("are not deleted in the place of another of their name", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const pod = yield* runningPod(cluster, podBody("identity"))
      const uid = textAt(pod.body, "metadata", "uid")
      const wrong = yield* call(cluster, "DELETE", `${pods}/identity`, { body: { preconditions: { uid: "other" } } })
      assert.deepStrictEqual([wrong.code, textAt(wrong.body, "reason")], [409, "Conflict"])
      assert.include(textAt(wrong.body, "message"), `UID in precondition: other, UID in object meta: ${uid}`)
      const right = yield* call(cluster, "DELETE", `${pods}/identity`, {
        body: { gracePeriodSeconds: 0, preconditions: { uid } }
      })
      assert.strictEqual(right.code, 200)
      assert.strictEqual((yield* call(cluster, "DELETE", `${pods}/identity`)).code, 404)
    }))

  it.effect("have a log, which can be followed to the container's end", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* call(cluster, "POST", pods, { body: podBody("waiting", "", {}, "kuberun.test/slow-30s") })
      const waiting = yield* call(cluster, "GET", `${pods}/waiting/log`)
      assert.strictEqual(waiting.code, 400)
      assert.strictEqual(
        textAt(waiting.body, "message"),
        `container "main" in pod "waiting" is waiting to start: ContainerCreating`
      )
      yield* runningPod(
        cluster,
        podBody("talks", "echo one; echo two >&2; while [ ! -e go ]; do sleep 0.02; done; echo three", {
          restartPolicy: "Never"
        })
      )
      const log = yield* follow(cluster, `${pods}/talks/log?follow=true`)
      yield* eventually(() => log.text().includes("one\n") && log.text().includes("two\n"))
      assert.strictEqual((yield* call(cluster, "GET", `${pods}/talks/log`)).text.split("\n").length, 3)
      yield* outputOf(cluster, "talks", "touch go")
      yield* eventually(() => log.ended())
      assert.match(log.text(), /three\n$/)
    }))
})
