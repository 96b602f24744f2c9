import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type ApiRequest } from "../src/api/Http.ts"
import { type ApiError, type Status } from "../src/api/Status.ts"
import { type FaultsControl, handleFaults, makeFaults, type RequestAttributes } from "../src/faults/Faults.ts"

const get: RequestAttributes = { verb: "get", resource: "pods", subresource: "" }
const create: RequestAttributes = { verb: "create", resource: "pods", subresource: "", name: "a" }

const Index = (below: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: below - 1 }))
const Seed = Schema.Int.check(Schema.isBetween({ minimum: -1e9, maximum: 1e9 }))
/** In hundredths: numbers between 0 and 1 would nearly all be close to an end. */
const Percent = Index(101)
/** Which of `calls` below is made. */
const Calls = Schema.Array(Index(6)).check(Schema.isMinLength(20), Schema.isMaxLength(80))

/** What a call comes to, as a word. */
const calls = (faults: FaultsControl): ReadonlyArray<Effect.Effect<string>> => {
  const said = (request: RequestAttributes) =>
    Effect.match(faults.request(request), {
      onFailure: ({ status }) => String(status.code),
      onSuccess: () => "handled"
    })
  return [
    said(get),
    said(create),
    said({ verb: "list", resource: "secrets", subresource: "" }),
    Effect.map(faults.watch("pods"), (fault) => JSON.stringify(fault) ?? "true"),
    Effect.map(faults.exec, (fault) => JSON.stringify(fault) ?? "true"),
    Effect.map(faults.deletionIgnored, String)
  ]
}

const outcome = (faults: FaultsControl, index: number): Effect.Effect<string> =>
  calls(faults)[index] ?? Effect.succeed("no such call")

const rules = (share: number) => [
  { share, verbs: ["get", "list"], error: { code: 503 } },
  { share, resources: ["pods"], error: { code: 429 } },
  { share, watch: { _tag: "Cut", after: 2 } },
  { share, exec: { _tag: "NoStatus" } },
  { share, times: 3, deletionIgnored: true }
]

const run = (plan: unknown, order: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const faults = yield* makeFaults(plan)
    const words = yield* Effect.forEach(order, (index) => outcome(faults, index))
    return { words, fired: yield* faults.fired }
  })

const refusal = (fault: object, request: RequestAttributes): Effect.Effect<Status, unknown> =>
  Effect.gen(function*() {
    const faults = yield* makeFaults({ rules: [fault] })
    const { status } = yield* Effect.flip(faults.request(request))
    return status
  })

describe("faults by a plan", () => {
  it.effect.prop("the same seed and the same calls give the same faults", {
    seed: Seed,
    percent: Percent,
    order: Calls
  }, ({ order, percent, seed }) =>
    Effect.gen(function*() {
      const plan = { seed, rules: rules(percent / 100) }
      assert.deepStrictEqual(yield* run(plan, order), yield* run(plan, order))
    }))

  it.effect("another seed gives others", () =>
    Effect.gen(function*() {
      const order = Array.from({ length: 64 }, () => 0)
      const [one, other] = [
        yield* run({ seed: 1, rules: rules(0.5) }, order),
        yield* run({ seed: 2, rules: rules(0.5) }, order)
      ]
      assert.notDeepEqual(one.words, other.words)
    }))

  it.effect.prop("a rule more changes nothing about the faults of those before it", {
    seed: Seed,
    percent: Percent,
    order: Calls
  }, ({ order, percent, seed }) =>
    Effect.gen(function*() {
      const [first, ...more] = rules(percent / 100)
      const alone = (yield* run({ seed, rules: [first] }, order)).fired
      const all = (yield* run({ seed, rules: [first, ...more] }, order)).fired
      assert.deepStrictEqual(
        all.filter(({ rule }) => rule === 0).map(({ request }) => request),
        alone.map(({ request }) => request)
      )
    }))

  it.effect.prop(
    "a share holds over many calls",
    { seed: Seed, percent: Percent },
    ({ percent, seed }) =>
      Effect.gen(function*() {
        const many = 1000
        const share = percent / 100
        const { fired } = yield* run(
          { seed, rules: [{ share, error: { code: 500 } }] },
          Array.from({ length: many }, () => 0)
        )
        // Seven standard deviations: once in 10^11 runs.
        assert.isAtMost(Math.abs(fired.length - many * share), 7 * Math.sqrt(many * share * (1 - share)) + 1)
      }),
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop("a rule fires no more often than its times, and only for what it names", {
    order: Calls,
    times: Index(5)
  }, ({ order, times }) =>
    Effect.gen(function*() {
      const { fired, words } = yield* run({
        rules: [{ times, verbs: ["create"], resources: ["pods"], subresources: [""], error: { code: 409 } }]
      }, order)
      const creates = order.filter((index) => index === 1).length
      assert.strictEqual(fired.length, Math.min(times, creates))
      assert.strictEqual(words.filter((word) => word === "409").length, fired.length)
      assert.isTrue(order.every((call, index) => call === 1 || words[index] !== "409"))
    }))

  it.effect.prop(
    "a plan that was cleared never fires, nor does an empty one",
    { seed: Seed, order: Calls },
    ({ order, seed }) =>
      Effect.gen(function*() {
        const faults = yield* makeFaults({ seed, nodeLost: true, rules: rules(1) })
        assert.strictEqual(yield* outcome(faults, 0), "503")
        yield* faults.clear
        const words = yield* Effect.forEach(order, (index) => outcome(faults, index))
        assert.deepStrictEqual(
          words,
          order.map((index) => ["handled", "handled", "handled", "true", "true", "false"][index])
        )
        assert.deepStrictEqual(yield* faults.fired, [])
        assert.deepStrictEqual((yield* run({}, order)).words, words)
      })
  )

  it.effect("a request waits for its latency, and then is refused", () =>
    Effect.gen(function*() {
      const faults = yield* makeFaults({
        rules: [{ error: { code: 504 } }, { latency: { millis: 200 } }, { latency: { millis: 100 } }]
      })
      const fiber = yield* Effect.forkChild(faults.request(get), { startImmediately: true })
      yield* TestClock.adjust(299)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
    }))

  it.effect.prop("jitter adds no more than it says", { seed: Seed }, ({ seed }) =>
    Effect.gen(function*() {
      const faults = yield* makeFaults({ seed, rules: [{ latency: { millis: 50, jitter: 50 } }] })
      const fiber = yield* Effect.forkChild(faults.request(get), { startImmediately: true })
      yield* TestClock.adjust(49)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(51)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
    }))

  it.effect("a plan set while a cluster runs begins anew, and the node is told", () =>
    Effect.gen(function*() {
      const faults = yield* makeFaults({ rules: [{ times: 1, error: { code: 500 } }] })
      assert.strictEqual(yield* outcome(faults, 0), "500")
      assert.strictEqual(yield* outcome(faults, 0), "handled")
      const told = yield* Effect.forkChild(Stream.runCollect(Stream.take(faults.node, 2)), { startImmediately: true })
      const plan = { rules: [{ times: 1, error: { code: 500 } }], nodeLost: true, evict: [{ labelSelector: "a=b" }] }
      yield* faults.set(plan)
      assert.strictEqual(yield* outcome(faults, 0), "500")
      assert.deepStrictEqual(yield* faults.exec, { _tag: "DialFails" })
      assert.deepStrictEqual(Array.from(yield* Fiber.join(told)), [
        { lost: false, evict: [] },
        { lost: true, evict: [{ labelSelector: "a=b" }] }
      ])
      assert.deepEqual<unknown>(yield* faults.plan, plan)
      assert.deepStrictEqual(yield* faults.fired, [{ count: 1, rule: 0, fault: "error", request: get }])
    }))

  it.effect("the log of what happened is bounded, and its numbers go on", () =>
    Effect.gen(function*() {
      const { fired } = yield* run({ rules: [{ error: { code: 500 } }] }, Array.from({ length: 2100 }, () => 0))
      assert.strictEqual(fired.length, 1000)
      assert.deepStrictEqual([fired[0]?.count, fired.at(-1)?.count], [1101, 2100])
    }))

  it.effect("refusals are whole Status objects in the API server's words", () =>
    Effect.gen(function*() {
      const whole = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" }
      assert.deepEqual<unknown>(yield* refusal({ error: { code: 429 } }, get), {
        ...whole,
        message: "the server has received too many requests and has asked us to try again later",
        reason: "TooManyRequests",
        details: { kind: "pods", retryAfterSeconds: 1 },
        code: 429
      })
      for (
        const [code, reason] of [[500, "InternalError"], [503, "ServiceUnavailable"], [504, "Timeout"], [
          401,
          "Unauthorized"
        ]]
      ) {
        const { reason: said } = yield* refusal({ error: { code } }, get)
        assert.strictEqual(said, reason)
      }
      const own = { code: 500, reason: "ServerTimeout", message: "wait", retryAfterSeconds: 7 }
      const { details, message, reason } = yield* refusal({ error: own }, get)
      assert.deepStrictEqual([reason, message, details?.retryAfterSeconds], ["ServerTimeout", "wait", 7])
      assert.strictEqual(
        (yield* refusal({ admission: "no pods today" }, create)).message,
        "admission webhook \"policy.kuberun.test\" denied the request: no pods today"
      )
      assert.strictEqual(
        (yield* refusal({ quota: "small" }, create)).message,
        "pods \"a\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=10, limited: pods=10"
      )
      for (const rule of [{ admission: "no" }, { quota: "small" }]) {
        yield* (yield* makeFaults({ rules: [rule] })).request(get)
      }
    }))

  it.effect("tells all that is wrong with a plan at once, and keeps the one it has", () =>
    Effect.gen(function*() {
      const faults = yield* makeFaults({ seed: 3 })
      const { message } = yield* Effect.flip(faults.set({
        sead: 1,
        evict: [{ labelSelector: "a==b==c" }],
        rules: [
          {},
          { share: 2, error: { code: 418 } },
          { verbs: ["get"], exec: { _tag: "NoAnswer" } },
          { watch: { _tag: "Gone" } },
          { watch: { _tag: "Stale", after: 0 } }
        ]
      }))
      const kinds = "latency, error, admission, quota, watch, exec, deletionIgnored"
      assert.sameMembers(message.split("\n").map((line) => line.trim()), [
        "The plan of faults cannot be used:",
        "evict[0].labelSelector: \"a==b==c\" is not allowed: expected a label selector, as app=web,tier!=db",
        "sead: is not a key that is known; allowed here: seed, rules, nodeLost, evict",
        `rules[0]: {} is not allowed: expected exactly one fault of ${kinds}`,
        "rules[1].share: 2 is not allowed: expected a value between 0 and 1",
        "rules[1].error.code: 418 is not allowed: expected 400 | 401 | 403 | 404 | 405 | 409 | 410 | 413 | 415 | 422 | 429 | 500 | 502 | 503 | 504",
        "rules[2].verbs: [\"get\"] is not allowed: expected not to be there: nothing can narrow down a fault \"exec\"",
        "rules[3].watch: {\"_tag\":\"Gone\"} is not allowed: expected a map whose _tag is Cut, Silent or Stale",
        "rules[4].watch.millis: is missing"
      ])
      assert.deepStrictEqual(yield* faults.plan, { seed: 3 })
    }))
})

describe("the plan's path", () => {
  const ask = (faults: FaultsControl, method: string, body?: unknown) => {
    const request: ApiRequest = {
      method,
      user: { name: "admin", groups: [] },
      path: ["minicluster", "faults"],
      query: new URLSearchParams(),
      accept: "application/json",
      contentType: "application/json",
      json: Effect.succeed(body)
    }
    return Effect.map(handleFaults(faults, request), (answer) => answer._tag === "Json" ? answer.body : {})
  }
  const code = (effect: Effect.Effect<object, ApiError>) => Effect.map(Effect.flip(effect), ({ status }) => status)

  it.effect("gives, sets and clears it, and says what is wrong with it as a Status with causes", () =>
    Effect.gen(function*() {
      const faults = yield* makeFaults()
      const plan = { seed: 1, rules: [{ error: { code: 500 } }] }
      assert.deepStrictEqual(yield* ask(faults, "PUT", plan), { plan, fired: [] })
      yield* Effect.flip(faults.request(get))
      const fired = [{ count: 1, rule: 0, fault: "error", request: get }]
      assert.deepStrictEqual(yield* ask(faults, "GET"), { plan, fired })
      const wrong = yield* code(ask(faults, "PUT", { rules: 1 }))
      assert.strictEqual(wrong.code, 422)
      assert.deepStrictEqual(wrong.details?.causes, [
        { reason: "FieldValueInvalid", field: "rules", message: "1 is not allowed: expected array" }
      ])
      assert.deepStrictEqual(yield* ask(faults, "DELETE"), { plan: {}, fired: [] })
      assert.strictEqual((yield* code(ask(faults, "POST", plan))).code, 405)
    }))
})
