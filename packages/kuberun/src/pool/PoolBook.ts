/**
 * What one replica knows of the pool and has under way for it. Pure; `PodPool.make` keeps it in a `Ref`.
 */
import { Duration, type Fiber } from "effect"
import { type Config, consoleContainer, startTimeout } from "../config/Config.ts"
import { podReadiness } from "../pod/PodReadiness.ts"
import type { ClusterError } from "../ports/Cluster.ts"
import type { ContainerStatus, Pod } from "../ports/Pod.ts"
import { poolKey, replicaKey, templateKey } from "../template/Labels.ts"
import { poolSizes } from "./PoolClasses.ts"
import { type PoolFacts, type PoolPlan, poolPlan, type WaitingPod } from "./PoolPlan.ts"
import { poolTemplate } from "./PoolTemplate.ts"
import { emptyView, existsSince, type PoolView, type SeenPod, without } from "./PoolView.ts"

/** What does not change as long as the replica runs. */
export interface PoolSettings {
  readonly config: Config
  readonly replicaId: string
  /** The container whose readiness counts. */
  readonly container: string
  readonly sizes: ReadonlyMap<string, number>
  readonly templates: ReadonlyMap<string, string>
  readonly fillDelay: number
}

export const poolSettings = (config: Config, replicaId: string, fillDelay: number): PoolSettings => {
  const sizes = poolSizes(config.pool)
  return {
    config,
    replicaId,
    container: consoleContainer(config.pod).name,
    sizes,
    templates: new Map([...sizes.keys()].map((poolClass) => [poolClass, poolTemplate(config, poolClass)])),
    fillDelay
  }
}

/** A creation that is under way, or whose answer was lost at `lostAt`, and whose pod was not seen yet. */
export interface Asked {
  readonly poolClass: string
  readonly request: Fiber.Fiber<Pod, ClusterError>
  readonly lostAt: number | undefined
}

/** Creations were refused, or pods did not become ready. */
export interface Trouble {
  /** What shows that it is over: a creation that is taken, or a pod that becomes ready. */
  readonly of: "creation" | "start"
  readonly since: number
  /** How many times it was tried since. */
  readonly tries: number
  /** The next time. */
  readonly pausedUntil: number
  /** What the log says of it. */
  readonly sentence: string
}

export interface PoolBook {
  readonly view: PoolView
  /** By the pod's name. */
  readonly asked: ReadonlyMap<string, Asked>
  /** Identities that this replica is claiming, or deleting, now. */
  readonly claiming: ReadonlySet<string>
  readonly removing: ReadonlySet<string>
  readonly owed: ReadonlyMap<string, number>
  readonly shortSince: ReadonlyMap<string, number>
  readonly trouble: Trouble | undefined
}

export const emptyBook: PoolBook = {
  view: emptyView,
  asked: new Map(),
  claiming: new Set(),
  removing: new Set(),
  owed: new Map(),
  shortSince: new Map(),
  trouble: undefined
}

/**
 * How many creations are under way at a time. They wait in the same line for `connection.qps` as the calls for users,
 * who should find no more than this many before them.
 */
const mostCreations = 2

/** The same for deletions. */
const mostRemovals = 2

/** How long a creation whose answer was lost counts as one that will be seen yet. */
export const lostPatience = 10_000

const startsWithout: ReadonlySet<string> = new Set(["", "ContainerCreating", "PodInitializing"])

/** It has a node, and none of its containers waits for more than its turn. */
const isUnderWay = ({ status }: Pod): boolean => {
  const waits = ({ state }: ContainerStatus): boolean =>
    state?.waiting !== undefined && !startsWithout.has(state.waiting.reason ?? "")
  return status?.conditions?.some(({ status: value, type }) => type === "PodScheduled" && value === "True") === true &&
    ![...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].some(waits)
}

const waitingState = (pod: Pod, container: string): WaitingPod["state"] => {
  switch (podReadiness(pod, container)._tag) {
    case "Ready":
      return "ready"
    case "Failed":
      return "failed"
    case "Leaving":
      return "leaving"
    case "Starting":
      return isUnderWay(pod) ? "starting" : "held"
  }
}

const waitingPod = (view: PoolView, uid: string, seen: SeenPod, container: string): WaitingPod => {
  const { annotations, creationTimestamp, labels, name } = seen.pod.metadata
  return {
    uid,
    name,
    poolClass: labels?.[poolKey] ?? "",
    template: annotations?.[templateKey] ?? "",
    replica: annotations?.[replicaKey] ?? "",
    state: waitingState(seen.pod, container),
    created: creationTimestamp ?? "",
    firstSeen: seen.firstSeen,
    existsSince: existsSince(view, seen)
  }
}

/** What is to be planned with. */
export const poolFacts = (book: PoolBook, settings: PoolSettings, now: number): PoolFacts => {
  const { config, replicaId } = settings
  const waiting = [...book.view.pods].filter(([uid]) => !book.claiming.has(uid) && !book.removing.has(uid))
    .map(([uid, seen]) => waitingPod(book.view, uid, seen, settings.container))
  const asked = [...book.asked.values()]
  const running = asked.filter(({ lostAt }) => lostAt === undefined).length
  const isTrial = (pod: WaitingPod) =>
    pod.replica === replicaId && (pod.state === "starting" || pod.state === "held") &&
    pod.firstSeen >= (book.trouble?.since ?? 0)
  // In trouble one pod at a time shows whether it is over.
  const trials = asked.length + waiting.filter(isTrial).length
  return {
    now,
    replica: replicaId,
    sizes: settings.sizes,
    templates: settings.templates,
    maxAge: Duration.toMillis(config.pool.maxAge),
    startTimeout: Duration.toMillis(startTimeout(config)),
    fillDelay: settings.fillDelay,
    waiting,
    asked: asked.map(({ poolClass }) => poolClass),
    owed: book.owed,
    shortSince: book.shortSince,
    pausedUntil: book.trouble?.pausedUntil ?? 0,
    slots: Math.max(0, book.trouble === undefined ? mostCreations - running : 1 - trials)
  }
}

/** What to do, without more deletions at a time than may be, and the book in which that is noted as under way. */
export const nextPlan = (book: PoolBook, settings: PoolSettings, now: number): readonly [PoolPlan, PoolBook] => {
  if (!book.view.complete) return [{ create: [], remove: [], shortSince: new Map(), again: undefined }, book]
  const current = withoutStaleLosses(book, now)
  const plan = poolPlan(poolFacts(current, settings, now))
  const remove = plan.remove.slice(0, Math.max(0, mostRemovals - book.removing.size))
  const paid = (poolClass: string) => plan.create.filter((created) => created === poolClass).length
  // What is not missing is not owed: another replica was quicker.
  const owed = new Map(
    [...current.owed].filter(([poolClass]) => plan.shortSince.has(poolClass))
      .map(([poolClass, count]) => [poolClass, count - paid(poolClass)] as const)
      .filter(([, count]) => count > 0)
  )
  const losses = [...current.asked.values()].flatMap(({ lostAt }) =>
    lostAt === undefined ? [] : [lostAt + lostPatience]
  )
  const again = Math.min(plan.again ?? Number.POSITIVE_INFINITY, ...losses)
  return [
    { ...plan, remove, again: Number.isFinite(again) ? again : undefined },
    {
      ...current,
      owed,
      shortSince: plan.shortSince,
      removing: new Set([...current.removing, ...remove.map(({ pod }) => pod.uid)])
    }
  ]
}

const withoutStaleLosses = (book: PoolBook, now: number): PoolBook => ({
  ...book,
  asked: new Map([...book.asked].filter(([, { lostAt }]) => lostAt === undefined || now - lostAt < lostPatience))
})

/** The view was told something: creations whose pod is in it are through. */
export const withView = (book: PoolBook, view: PoolView): PoolBook => {
  const names = new Set([...view.pods.values()].map(({ pod }) => pod.metadata.name))
  return { ...book, view, asked: new Map([...book.asked].filter(([name]) => !names.has(name))) }
}

/** A pod is no longer free: it was claimed by somebody or deleted. */
export const withoutPod = (book: PoolBook, uid: string, now: number): PoolBook => ({
  ...book,
  view: without(book.view, uid, now)
})

/** This replica has claimed a pod, and replaces it. */
export const withClaim = (book: PoolBook, uid: string, poolClass: string, now: number): PoolBook => ({
  ...withoutPod(book, uid, now),
  owed: new Map(book.owed).set(poolClass, (book.owed.get(poolClass) ?? 0) + 1)
})

export const withAsked = (book: PoolBook, name: string, asked: Asked | undefined): PoolBook => {
  const all = new Map(book.asked)
  if (asked === undefined) all.delete(name)
  else all.set(name, asked)
  return { ...book, asked: all }
}

/** Without an element. */
export const dropped = <A>(set: ReadonlySet<A>, element: A): ReadonlySet<A> =>
  new Set([...set].filter((other) => other !== element))

/** How long creations pause after this many tries: doubled each time. */
const pause = (of: "passing" | "lasting", tries: number): number =>
  of === "passing" ? Math.min(30_000, 500 * 2 ** (tries - 1)) : Math.min(300_000, 5000 * 2 ** (tries - 1))

/**
 * Something failed. What fails before the pause of an earlier failure is over counts with that one: ten pods that end
 * with their node are one failure.
 */
export const withTrouble = (
  book: PoolBook,
  failure: {
    readonly of: Trouble["of"]
    readonly kind: "passing" | "lasting"
    readonly sentence: string
    /** What the API server asked for, in milliseconds. */
    readonly atLeast: number
    /** Spreads the pauses of many replicas: around 1. */
    readonly spread: number
  },
  now: number
): PoolBook => {
  const before = book.trouble
  const tries = before === undefined ? 1 : now < before.pausedUntil ? before.tries : before.tries + 1
  const until = now + Math.ceil(Math.max(failure.atLeast, pause(failure.kind, tries) * failure.spread))
  return {
    ...book,
    trouble: {
      of: before?.of === "start" ? "start" : failure.of,
      since: before?.since ?? now,
      tries,
      pausedUntil: Math.max(before?.pausedUntil ?? 0, until),
      sentence: failure.sentence
    }
  }
}

/** Whether what the book knows by now shows that the trouble is over. */
export const isOver = (book: PoolBook, settings: PoolSettings): boolean =>
  book.trouble !== undefined && book.trouble.of === "start" &&
  [...book.view.pods.values()].some(({ firstSeen, pod }) =>
    firstSeen >= (book.trouble?.since ?? 0) && pod.metadata.annotations?.[replicaKey] === settings.replicaId &&
    waitingState(pod, settings.container) === "ready"
  )
