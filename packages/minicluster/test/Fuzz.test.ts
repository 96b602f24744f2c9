/**
 * The cluster under requests and frames that are nearly right. `KUBERUN_FUZZ_SEED` replays a run that failed, and
 * `KUBERUN_FUZZ_CASES` makes it longer.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { layer as clusterLayer, make, type Minicluster, MiniclusterService } from "@kuberun/minicluster"
import { Effect, Logger } from "effect"
import { Buffer } from "node:buffer"
import { randomInt } from "node:crypto"
import { Agent, request } from "node:https"
import { connect as connectTcp, type Socket } from "node:net"
import { connect } from "node:tls"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { at, call, isRunning, listAt, podBody, textAt, until } from "./support/Client.ts"
import { type FuzzConnection, fuzzRaw, fuzzSpdy, fuzzWebSocket, type Target } from "./support/FuzzFrames.ts"
import { fuzzNamespaces, type FuzzRequest, fuzzRequest } from "./support/FuzzRequests.ts"
import { type Dice, makeDice } from "./support/Mutation.ts"
import { pathOf, resources } from "./support/Samples.ts"

const cases = Number(process.env["KUBERUN_FUZZ_CASES"] ?? 20_000)
const seed = Number(process.env["KUBERUN_FUZZ_SEED"] ?? randomInt(2 ** 31))

/** How many of the cases are frames of which stream; the others are requests. */
const shares = { webSocket: 0.18, spdy: 0.17, raw: 0.04 }
const framesEach = 20
/** Far longer than any of them takes on a busy machine: what has not answered by then never will. */
const patience = "20 seconds"
/** What is reachable: for compiled code, the events, and the history of the last changes. */
const heldBound = 64 * 1024 * 1024
/** What V8 and the C library keep besides of what the largest bodies took for a moment. */
const residentBound = 512 * 1024 * 1024

/** What must not happen, as sentences. */
const makeFindings = () => {
  const found: Array<string> = []
  return { found, add: (text: string) => void (found.length < 20 && found.push(text)) }
}
type Findings = ReturnType<typeof makeFindings>

const clientOf = (cluster: Minicluster) => {
  const ca = Buffer.from(/certificate-authority-data: (\S+)/.exec(cluster.kubeconfig)?.[1] ?? "", "base64")
  const { hostname, port } = new URL(cluster.url)
  return {
    agent: new Agent({ ca, keepAlive: true, maxSockets: 16 }),
    ca,
    host: hostname,
    port: Number(port),
    authorization: `Bearer ${/token: (\S+)/.exec(cluster.kubeconfig)?.[1] ?? ""}`
  }
}
type FuzzClient = ReturnType<typeof clientOf>

const shown = ({ body, headers, method, path }: FuzzRequest): string =>
  `${method} ${path.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)} ${body?.toString().slice(0, 2000) ?? ""}`

/** The status code of the answer, once its body was read as far as it goes; 0 for a connection that broke. */
const send = (client: FuzzClient, { body, endless, headers, method, path }: FuzzRequest): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const { agent, authorization, host, port } = client
    const sent = request({ agent, host, port, method, path, headers: { authorization, ...headers } }, (response) => {
      const code = response.statusCode ?? 0
      const done = () => resume(Effect.succeed(code))
      response.on("end", done)
      response.on("error", done)
      if (endless && code === 200) {
        done()
        response.destroy()
      } else response.resume()
    })
    sent.on("error", () => resume(Effect.succeed(0)))
    sent.end(body)
    return Effect.sync(() => sent.destroy())
  })

/** Sends all of it, and waits until the other side has closed as well. */
const speak = (client: FuzzClient, { head, pieces, waits }: FuzzConnection, plain: boolean): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const { ca, host, port } = client
    const socket: Socket = plain ? connectTcp({ host, port }) : connect({ host, port, ca })
    const rest = () => {
      for (const piece of pieces) if (socket.writable) socket.write(piece)
      socket.end()
    }
    socket.on("error", () => socket.destroy())
    socket.once("close", () => resume(Effect.void))
    socket.once(plain ? "connect" : "secureConnect", () => {
      if (head.length > 0) socket.write(head)
      if (!waits) rest()
    })
    if (waits) socket.once("data", rest)
    socket.resume()
    return Effect.sync(() => socket.destroy())
  })

/** In bytes, after a collection. */
const memoryInUse = () => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  collect()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { held: heapUsed + external, resident: rss }
}

/** Uncaught exceptions and rejections, for as long as the scope. */
const watchProcess = (findings: Findings) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const note = (error: unknown) =>
        findings.add(`nobody caught ${error instanceof Error ? error.stack ?? error.message : String(error)}`)
      process.on("uncaughtException", note)
      process.on("unhandledRejection", note)
      return note
    }),
    (note) =>
      Effect.sync(() => {
        process.off("uncaughtException", note)
        process.off("unhandledRejection", note)
      })
  )

const loggerOf = (findings: Findings) =>
  Logger.layer([
    Logger.make<unknown, void>(({ cause, logLevel, message }) => {
      if (logLevel === "Error" || logLevel === "Fatal") {
        const parts = [message].flat().map((part) => part instanceof Error ? part.stack ?? part.message : String(part))
        findings.add(`it logged ${parts.join(" ")} ${cause.reasons.map(String).join()}`)
      }
    })
  ])

/** Everything that was not there before, gone. */
const tidyUp = Effect.fnUntraced(function*(cluster: Minicluster, before: ReadonlySet<string>) {
  for (const resource of resources.filter((resource) => resource !== "events")) {
    const everywhere = pathOf(resource).replace(/\/namespaces\/[^/]+/, "")
    const { body } = yield* call(cluster, "GET", everywhere)
    const made = listAt(body, "items").filter((item) => !before.has(textAt(item, "metadata", "uid")))
    yield* Effect.forEach(made, (item) =>
      Effect.gen(function*() {
        const path = `${pathOf(resource, textAt(item, "metadata", "namespace"))}/${textAt(item, "metadata", "name")}`
        const contentType = "application/merge-patch+json"
        yield* call(cluster, "PATCH", path, { contentType, body: { metadata: { finalizers: null } } })
        yield* call(cluster, "DELETE", `${path}?gracePeriodSeconds=0`)
      }), { concurrency: 8, discard: true })
  }
})

const uids = Effect.fnUntraced(function*(cluster: Minicluster) {
  const lists = yield* Effect.forEach(
    resources,
    (resource) => call(cluster, "GET", pathOf(resource).replace(/\/namespaces\/[^/]+/, ""))
  )
  return new Set(lists.flatMap(({ body }) => listAt(body, "items").map((item) => textAt(item, "metadata", "uid"))))
})

const runCases = Effect.fnUntraced(
  function*(cluster: Minicluster, client: FuzzClient, target: Target, findings: Findings, from: number, to: number) {
    const amount = to - from
    const late = (index: number, what: string) =>
      Effect.sync(() => findings.add(`case ${index} had no answer: ${what}`))
    const bounded = (effect: Effect.Effect<void>, index: number, what: string) =>
      Effect.timeoutOrElse(effect, { duration: patience, orElse: () => late(index, what) })
    const connections = (share: number, of: (dice: Dice) => Effect.Effect<FuzzConnection>, plain = false) =>
      Effect.forEach(
        Array.from({ length: Math.ceil(amount * share / framesEach) }, (_, index) => from + index),
        (index) =>
          Effect.gen(function*() {
            const connection = yield* of(makeDice(seed, index))
            yield* bounded(speak(client, connection, plain), index, connection.what)
          }),
        { concurrency: 3, discard: true }
      )
    const others = Object.values(shares).reduce((sum, share) => sum + share, 0)
    yield* Effect.all([
      Effect.forEach(Array.from({ length: Math.round(amount * (1 - others)) }, (_, index) => from + index), (index) => {
        const one = fuzzRequest(makeDice(seed, index))
        return bounded(
          Effect.map(send(client, one), (code) => {
            if (code === 0) findings.add(`case ${index} was answered ${code}: ${shown(one)}`)
          }),
          index,
          shown(one)
        )
      }, { concurrency: 16, discard: true }),
      connections(shares.webSocket, (dice) => fuzzWebSocket(dice, target, framesEach)),
      connections(shares.spdy, (dice) => fuzzSpdy(dice, target, framesEach)),
      connections(shares.raw * 0.9, (dice) => Effect.sync(() => fuzzRaw(dice, target, framesEach))),
      connections(shares.raw * 0.1, (dice) => Effect.sync(() => fuzzRaw(dice, target, framesEach)), true)
    ], { concurrency: "unbounded", discard: true })
  }
)

layer(clusterLayer(), { excludeTestServices: true })("what damaged requests have found", (it) => {
  const configMap = (key: string) => ({ metadata: { name: "some" }, [key]: {} })

  it.effect("a warning of an unknown field is told in UTF-8, whatever the field's name is", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (const name of ["é😀", "\u0000\u007f", "\ud800", "a\"b\\"]) {
        const path = `${pathOf("configmaps")}?dryRun=All`
        const { code, warning } = yield* call(cluster, "POST", path, { body: configMap(name) })
        assert.strictEqual(code, 201, name)
        assert.match(warning, /^299 - "unknown field/)
        if (name === "é😀") assert.include(Buffer.from(warning, "latin1").toString(), name)
      }
    }))

  it.effect("warnings are cut where they are more than a client takes", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      const names = Array.from({ length: 100 }, (_, index) => `${index}-${"x".repeat(500)}`)
      const { code, warning } = yield* call(cluster, "POST", `${pathOf("configmaps")}?dryRun=All`, {
        body: { metadata: { name: "some" }, ...Object.fromEntries(names.map((name) => [name, 1])) }
      })
      assert.strictEqual(code, 201)
      assert.isBelow(warning.length, 8192)
      assert.isAtLeast(warning.split("299 - ").length, 10)
    }))

  it.effect("a subresource by the name of something that every JavaScript object has is not served", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
        const { code } = yield* call(cluster, "GET", `${pathOf("pods")}/some/${name}`)
        assert.strictEqual(code, 404, name)
      }
    }))

  it.effect("an event about nothing is listed as a table all the same", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      yield* call(cluster, "POST", pathOf("events"), { body: { metadata: { name: "bare" } } })
      const accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
      const { body, code } = yield* call(cluster, "GET", `${pathOf("events")}/bare`, { accept })
      assert.strictEqual(code, 200)
      assert.strictEqual(at(body, "rows", 0, "cells", 3), "/")
    }))

  it.effect("a long text in YAML takes neither the memory nor the time of others", () =>
    Effect.gen(function*() {
      const cluster = yield* MiniclusterService
      // Each took minutes, by the square of its length, in which nobody else was served, or gigabytes.
      for (const piece of ["\"", "&a ", "*a ", "!x ", "<<: {}\n", "a: 1\n", "["]) {
        const raw = piece.repeat(3_000_000 / piece.length)
        const path = `${pathOf("configmaps")}?dryRun=All`
        const { code } = yield* call(cluster, "POST", path, { raw, contentType: "application/yaml" })
        assert.strictEqual(code, 400, piece)
      }
    }))
})

const ownPods = "/api/v1/namespaces/target/pods"

describe("the cluster under requests and frames that are nearly right", () => {
  it.live(`goes on serving, with no unhandled error and bounded memory, after ${cases} of them (seed ${seed})`, () => {
    const findings = makeFindings()
    return Effect.gen(function*() {
      yield* watchProcess(findings)
      const cluster = yield* make()
      const client = clientOf(cluster)
      yield* Effect.addFinalizer(() => Effect.sync(() => client.agent.destroy()))
      for (const name of ["target", ...fuzzNamespaces.slice(1)]) {
        yield* call(cluster, "POST", "/api/v1/namespaces", { body: { metadata: { name } } })
      }
      // Attached clients have an answer to what they send.
      const main = { name: "main", image: "busybox", command: ["cat"], stdin: true }
      yield* call(cluster, "POST", ownPods, { body: { metadata: { name: "target" }, spec: { containers: [main] } } })
      yield* until(cluster, `${ownPods}/target`, isRunning)
      const before = yield* uids(cluster)
      const target: Target = { pod: `${ownPods}/target`, authorization: client.authorization }
      const warm = Math.round(cases / 8)
      yield* runCases(cluster, client, target, findings, 0, warm)
      const memoryBefore = memoryInUse()
      yield* runCases(cluster, client, target, findings, warm, cases)
      yield* tidyUp(cluster, before)
      const memory = memoryInUse()
      assert.deepStrictEqual(findings.found, [], `seed ${seed}`)

      assert.strictEqual(textAt((yield* call(cluster, "GET", "/version")).body, "minor"), "32")
      assert.isTrue(isRunning(yield* call(cluster, "GET", `${ownPods}/target`)))
      yield* call(cluster, "POST", ownPods, { body: podBody("after") })
      yield* until(cluster, `${ownPods}/after`, isRunning)
      yield* call(cluster, "DELETE", `${ownPods}/after?gracePeriodSeconds=0`)
      yield* until(cluster, `${ownPods}/after`, ({ code }) => code === 404)
      assert.isBelow(memory.held - memoryBefore.held, heldBound, `seed ${seed}`)
      assert.isBelow(memory.resident - memoryBefore.resident, residentBound, `seed ${seed}`)
    }).pipe(Effect.scoped, Effect.provide(loggerOf(findings)))
  }, 180_000)
})
