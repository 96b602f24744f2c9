/**
 * Faults on purpose, from a seed: the same plan and the same order of calls give the same faults.
 *
 * Every rule draws from a generator of its own, for each call that matches it and whatever the other rules do, so that
 * a rule that comes or goes changes nothing about the others.
 */
import { Effect, Random, Stream, SubscriptionRef } from "effect"
import { type ApiRequest, type ApiResponse, json } from "../api/Http.ts"
import { ApiError, denied, forbidden, invalid, methodNotAllowed } from "../api/Status.ts"
import {
  decodeFaultPlan,
  type Eviction,
  type ExecFault,
  type FaultKind,
  type FaultPlan,
  type FaultPlanError,
  type FaultRule,
  kindOf,
  refusals,
  type WatchFault
} from "./FaultPlan.ts"

export type { ExecFault, WatchFault }

export interface RequestAttributes {
  /** The verb as RBAC names it. */
  readonly verb: string
  /** The resource's plural; "" for a path that is none. */
  readonly resource: string
  readonly subresource: string
  /** As far as the path tells it. */
  readonly name?: string
}

/** What the plan wants of the node. */
export interface NodeFaults {
  /** Its kubelet is not heard of: no status, no heartbeat, no exec. */
  readonly lost: boolean
  /** To be done once. */
  readonly evict: ReadonlyArray<Eviction>
}

export interface Faults {
  /** Asked once for each request, before it is handled: may take its time, or refuse. */
  readonly request: (attributes: RequestAttributes) => Effect.Effect<void, ApiError>
  /** Asked once for each watch that begins. */
  readonly watch: (resource: string) => Effect.Effect<WatchFault | undefined>
  /** Asked once for each exec or attach, before its upgrade is answered. */
  readonly exec: Effect.Effect<ExecFault | undefined>
  /** Asked once for each deletion of a pod: true for one that is accepted and does nothing. */
  readonly deletionIgnored: Effect.Effect<boolean>
}

/** A fault that happened. `count` tells how many did since the plan was set, `rule` which one it was, from 0. */
export interface FiredFault {
  readonly count: number
  readonly rule: number
  readonly fault: FaultKind
  readonly request: RequestAttributes
}

export interface FaultsControl extends Faults {
  /** The present plan's, then those of each plan that is set. */
  readonly node: Stream.Stream<NodeFaults>
  /** Takes another plan, from its beginning; one that cannot be used changes nothing. */
  readonly set: (plan: unknown) => Effect.Effect<void, FaultPlanError>
  /** No fault happens any more; what waits already goes on to wait. */
  readonly clear: Effect.Effect<void>
  readonly plan: Effect.Effect<FaultPlan>
  /** The last ones that happened since the plan was set, oldest first. */
  readonly fired: Effect.Effect<ReadonlyArray<FiredFault>>
}

/** Enough to see how a run went; a cluster under faults for days must not grow. */
const longestLog = 1000

interface RuleState {
  readonly index: number
  readonly rule: FaultRule
  readonly kind: FaultKind | undefined
  readonly random: Random.Random
  left: number
}

const begin = (plan: FaultPlan): Effect.Effect<ReadonlyArray<RuleState>> =>
  Effect.forEach(plan.rules ?? [], (rule, index) =>
    Effect.map(
      Random.withSeed(Effect.service(Random.Random), `${plan.seed ?? 0}/${index}`),
      (random): RuleState => ({ index, rule, kind: kindOf(rule), random, left: rule.times ?? Infinity })
    ))

/** What admission looks at when a rule does not say. */
const created = { verbs: ["create"], subresources: [""] }

const matches = ({ kind, rule }: RuleState, { resource, subresource, verb }: RequestAttributes): boolean => {
  const { resources, subresources, verbs } = kind === "admission" || kind === "quota" ? { ...created, ...rule } : rule
  return (verbs?.includes(verb) ?? true) && (resources?.includes(resource) ?? true) &&
    (subresources?.includes(subresource) ?? true)
}

/** Whether this call is one of the rule's share. */
const draw = (state: RuleState): boolean => {
  if (state.random.nextDoubleUnsafe() >= (state.rule.share ?? 1) || state.left <= 0) return false
  state.left--
  return true
}

const refusal = ({ admission, error, quota }: FaultRule, request: RequestAttributes): ApiError | undefined => {
  if (admission !== undefined) return denied("policy.kuberun.test", admission)
  if (quota !== undefined) {
    const figures = ["requested: =1", "used: =10", "limited: =10"].map((one) =>
      one.replace("=", `${request.resource}=`)
    )
    return forbidden(request.resource, request.name ?? "", `exceeded quota: ${quota}, ${figures.join(", ")}`)
  }
  if (error === undefined) return undefined
  const [reason, message] = refusals[error.code]
  const retryAfterSeconds = error.retryAfterSeconds ?? (error.code === 429 ? 1 : undefined)
  return new ApiError({
    status: {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: error.message ?? message,
      reason: error.reason ?? reason,
      details: { kind: request.resource, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) },
      code: error.code
    }
  })
}

/** Faults by a plan; none without one. */
export const makeFaults = (initial: unknown = {}): Effect.Effect<FaultsControl, FaultPlanError> =>
  Effect.gen(function*() {
    const first = yield* decodeFaultPlan(initial)
    const current = yield* SubscriptionRef.make(first)
    let rules = yield* begin(first)
    let fired: Array<FiredFault> = []
    let count = 0

    const hits = (request: RequestAttributes, ...kinds: ReadonlyArray<FaultKind | undefined>) =>
      rules.filter((state) => kinds.includes(state.kind) && matches(state, request) && draw(state))
    const record = ({ index, kind }: RuleState, request: RequestAttributes) => {
      if (kind === undefined) return
      fired.push({ count: ++count, rule: index, fault: kind, request })
      if (fired.length > 2 * longestLog) fired = fired.slice(-longestLog)
    }
    /** The first rule in the plan that wants something of this call. */
    const decide = <K extends "watch" | "exec" | "deletionIgnored">(kind: K, request: RequestAttributes) =>
      Effect.sync((): FaultRule[K] | undefined => {
        const [state] = hits(request, kind)
        if (state !== undefined) record(state, request)
        return state?.rule[kind]
      })

    const request = Effect.fnUntraced(function*(attributes: RequestAttributes) {
      let millis = 0
      let refused: ApiError | undefined
      for (const state of hits(attributes, "latency", "error", "admission", "quota")) {
        const { latency } = state.rule
        if (latency !== undefined) millis += latency.millis + state.random.nextDoubleUnsafe() * (latency.jitter ?? 0)
        // Of several refusals the first in the plan is the answer.
        else if (refused === undefined) refused = refusal(state.rule, attributes)
        else continue
        record(state, attributes)
      }
      if (millis > 0) yield* Effect.sleep(millis)
      if (refused !== undefined) return yield* refused
    })

    const take = Effect.fnUntraced(function*(plan: FaultPlan) {
      rules = yield* begin(plan)
      fired = []
      count = 0
      yield* SubscriptionRef.set(current, plan)
    })
    const execRequest = { verb: "create", resource: "pods", subresource: "exec" }
    const dialFails: ExecFault = { _tag: "DialFails" }
    return {
      request,
      watch: (resource) => decide("watch", { verb: "watch", resource, subresource: "" }),
      exec: Effect.flatMap(
        SubscriptionRef.get(current),
        ({ nodeLost = false }) => nodeLost ? Effect.succeed(dialFails) : decide("exec", execRequest)
      ),
      deletionIgnored: Effect.map(
        decide("deletionIgnored", { verb: "delete", resource: "pods", subresource: "" }),
        (ignored) => ignored === true
      ),
      node: Stream.map(
        SubscriptionRef.changes(current),
        ({ evict = [], nodeLost = false }) => ({ lost: nodeLost, evict })
      ),
      set: (plan) => Effect.flatMap(decodeFaultPlan(plan), take),
      clear: take({}),
      plan: SubscriptionRef.get(current),
      fired: Effect.sync(() => fired.slice(-longestLog))
    }
  })

/** `GET`, `PUT` and `DELETE` of the plan; each answers with the plan that holds now and what has happened by it. */
export const handleFaults = (control: FaultsControl, request: ApiRequest): Effect.Effect<ApiResponse, ApiError> =>
  Effect.gen(function*() {
    if (request.method === "PUT") {
      yield* Effect.mapError(
        Effect.flatMap(request.json, control.set),
        (error) => error._tag === "ApiError" ? error : invalid("FaultPlan", "plan", error.causes)
      )
    } else if (request.method === "DELETE") yield* control.clear
    else if (request.method !== "GET") return yield* methodNotAllowed
    return json({ plan: yield* control.plan, fired: yield* control.fired })
  })
