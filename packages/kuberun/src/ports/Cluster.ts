/**
 * The port to Kubernetes: what this library needs of a cluster, and nothing more.
 *
 * `@kuberun/kubernetes` implements it over a real API server; `@kuberun/testkit` has a fake for tests; an embedder may
 * put anything else behind it.
 */
import { Context, type Effect, Schema, type Scope, type Sink, type Stream } from "effect"
import type { ClaimManifest, Lease, LeaseManifest, LeaseRef, MetadataPatch } from "./ClusterObjects.ts"
import type { Output, TerminalSize } from "./Output.ts"
import type { Pod, PodManifest, PodRef } from "./Pod.ts"

/** No answer from the API server: refused, reset, no route, TLS or name resolution failed. */
export class Unreachable extends Schema.TaggedClass<Unreachable>()("Unreachable", { detail: Schema.String }) {}
/** No answer in time. A write may have happened all the same. */
export class CallTimedOut extends Schema.TaggedClass<CallTimedOut>()("CallTimedOut", { detail: Schema.String }) {}
/** 401: the credentials were not accepted. */
export class Unauthorized extends Schema.TaggedClass<Unauthorized>()("Unauthorized", { detail: Schema.String }) {}
/** 403: RBAC, admission or quota. `detail` is the API server's sentence, which names the verb and the resource. */
export class Forbidden extends Schema.TaggedClass<Forbidden>()("Forbidden", { detail: Schema.String }) {}
/** 404. */
export class NotFound extends Schema.TaggedClass<NotFound>()("NotFound", { detail: Schema.String }) {}
/** 409 with reason AlreadyExists: the name is taken. */
export class AlreadyExists extends Schema.TaggedClass<AlreadyExists>()("AlreadyExists", { detail: Schema.String }) {}
/** 409 otherwise: a precondition (uid, resourceVersion) does not hold. */
export class Conflict extends Schema.TaggedClass<Conflict>()("Conflict", { detail: Schema.String }) {}
/** 400, 405, 415, 422, and what else says that the request itself is wrong. */
export class Rejected extends Schema.TaggedClass<Rejected>()("Rejected", {
  status: Schema.Int,
  detail: Schema.String
}) {}
/** 429: the API server asks for a pause, of `retryAfterSeconds` where it says how long. */
export class TooManyRequests extends Schema.TaggedClass<TooManyRequests>()("TooManyRequests", {
  detail: Schema.String,
  retryAfterSeconds: Schema.optionalKey(Schema.Finite)
}) {}
/** 410: the resourceVersion of a watch is too old; list again. */
export class Expired extends Schema.TaggedClass<Expired>()("Expired", { detail: Schema.String }) {}
/** 5xx. A write may have happened all the same. */
export class ServerFault extends Schema.TaggedClass<ServerFault>()("ServerFault", {
  status: Schema.Int,
  detail: Schema.String
}) {}
/**
 * A watch or an exec broke off: the connection was cut, went silent, or was closed without the status that proves the
 * program's end. What happened to the program is not known.
 */
export class StreamLost extends Schema.TaggedClass<StreamLost>()("StreamLost", { detail: Schema.String }) {}
/** The other side broke the protocol: an answer that is not JSON, an unknown frame, a status that cannot be read. */
export class ProtocolViolation
  extends Schema.TaggedClass<ProtocolViolation>()("ProtocolViolation", { detail: Schema.String })
{}
/** The cluster cannot do what was asked, for example signal the end of stdin over the exec protocol v4. */
export class Unsupported extends Schema.TaggedClass<Unsupported>()("Unsupported", { detail: Schema.String }) {}
/** The client's own set-up is wrong: a kubeconfig that cannot be read, a credential plugin that fails. */
export class Misconfigured extends Schema.TaggedClass<Misconfigured>()("Misconfigured", { detail: Schema.String }) {}

export const ClusterErrorReason = Schema.Union([
  Unreachable,
  CallTimedOut,
  Unauthorized,
  Forbidden,
  NotFound,
  AlreadyExists,
  Conflict,
  Rejected,
  TooManyRequests,
  Expired,
  ServerFault,
  StreamLost,
  ProtocolViolation,
  Unsupported,
  Misconfigured
])
export type ClusterErrorReason = typeof ClusterErrorReason.Type

/**
 * The one error of the `Cluster` port. `operation` is what was tried, in words that fit behind "cannot": "create pod
 * default/kuberun-x". `reason` is what kind of failure it was.
 */
export class ClusterError extends Schema.TaggedError<ClusterError>()("ClusterError", {
  operation: Schema.String,
  reason: ClusterErrorReason
}) {
  override get message(): string {
    return `cannot ${this.operation}: ${this.reason.detail}`
  }
}

/**
 * Whether the same call may succeed when it is made again: no answer, a pause asked for, a fault of the server's.
 * Everything else (wrong credentials, forbidden, invalid, taken) fails again at once.
 */
export const isTransient = (error: ClusterError): boolean => {
  switch (error.reason._tag) {
    case "Unreachable":
    case "CallTimedOut":
    case "TooManyRequests":
    case "ServerFault":
    case "StreamLost":
    case "Expired":
      return true
    default:
      return false
  }
}

/**
 * Whether a write that failed so may have happened all the same: the request may have arrived and only its answer
 * been lost.
 */
export const isAmbiguous = (error: ClusterError): boolean => {
  switch (error.reason._tag) {
    case "Unreachable":
    case "CallTimedOut":
    case "ServerFault":
    case "StreamLost":
    case "ProtocolViolation":
      return true
    default:
      return false
  }
}

/** What a watch tells of one pod. */
export type PodEvent =
  | { readonly _tag: "Present"; readonly pod: Pod }
  | { readonly _tag: "Absent" }

/** Which objects of a namespace: those that carry all of these labels. */
export interface LabelQuery {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

/**
 * What a watch tells of many pods: all that there are, once and first; then each one that came or changed, or went (with
 * its last state).
 */
export type PodsEvent =
  | { readonly _tag: "Listed"; readonly pods: ReadonlyArray<Pod> }
  | { readonly _tag: "Put"; readonly pod: Pod }
  | { readonly _tag: "Removed"; readonly pod: Pod }

/** The state that a write is meant for; where the object has moved on, it fails with `Conflict`. */
export interface Precondition {
  readonly uid?: string | undefined
  readonly resourceVersion?: string | undefined
}

/** An Event (`core/v1.Event`) about a pod: `{ reason: "Pulling", message: "Pulling image \"busybox\"" }`. */
export interface PodNotice {
  readonly type: string
  readonly reason: string
  readonly message: string
}

/** A program to run in a container of a running pod. */
export interface ExecRequest {
  readonly pod: PodRef
  readonly container: string
  /** The argument vector, passed as it is: no shell in between. */
  readonly command: ReadonlyArray<string>
  /** With a terminal of this size. Without one, stdout and stderr are kept apart. */
  readonly terminal?: TerminalSize | undefined
}

/** To be connected with the first process of a container that has `stdin` and, for a terminal, `tty`. */
export interface AttachRequest {
  readonly pod: PodRef
  readonly container: string
  /** The container has a terminal, of this size from now on. */
  readonly terminal?: TerminalSize | undefined
}

/**
 * How an exec ended. `NotStarted` is the container runtime's refusal, in its own words ("executable file not found in
 * $PATH", "container not found"). A stream that ended without saying either is a `ClusterError` with `StreamLost`.
 */
export type ExecExit =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "NotStarted"; readonly detail: string }

/** A program that runs in a pod. It lives as long as the scope it was started in: closing that closes its streams. */
export interface ExecProcess {
  /**
   * The program's standard input. The sink takes bytes no faster than the cluster does, and completes when its
   * upstream ends, after the program's stdin was closed. Run it at most once.
   */
  readonly stdin: Sink.Sink<void, Uint8Array, never, ClusterError>
  /**
   * What the program writes, read no faster than it is pulled. Ends after the last byte, when the cluster has told the
   * exit; fails with `StreamLost` (after what had arrived before) when it broke off. Run it once.
   */
  readonly output: Stream.Stream<Output, ClusterError>
  /** Tells the program's terminal its new size. Without a terminal it has no effect. */
  readonly resize: (size: TerminalSize) => Effect.Effect<void, ClusterError>
  /** How the program ended. Waits for it; meant to be read after `output` has ended. */
  readonly exit: Effect.Effect<ExecExit, ClusterError>
}

/** What this library needs of Kubernetes. Every call has a time limit of its own and fails with `CallTimedOut`. */
export class Cluster extends Context.Service<Cluster, {
  /**
   * Creates the pod and answers it as stored. Sent exactly once: retrying is the caller's, who knows the name.
   * Interrupting it does not take the request back.
   */
  readonly createPod: (manifest: PodManifest) => Effect.Effect<Pod, ClusterError>
  /** Reads the pod as it is now (the most recent state, not a cached one). */
  readonly readPod: (pod: PodRef) => Effect.Effect<Pod, ClusterError>
  /**
   * Asks for the pod's deletion, and completes when that was accepted. With a `uid`, a pod of the same name but
   * another identity is left alone, with a `resourceVersion` one that has changed since: `Conflict`. Already gone:
   * `NotFound`.
   */
  readonly deletePod: (
    pod: PodRef,
    options?: Precondition & { readonly gracePeriodSeconds?: number | undefined }
  ) => Effect.Effect<void, ClusterError>
  /**
   * Changes labels and annotations of the pod, all of them or none, and answers the pod as it is then. `null` takes one
   * away. With a precondition the change is made to exactly that state: of two that try, one fails with `Conflict`.
   */
  readonly patchPod: (
    pod: PodRef,
    patch: MetadataPatch,
    precondition?: Precondition
  ) => Effect.Effect<Pod, ClusterError>
  /** The pods as they are now (the most recent state, not a cached one). */
  readonly listPods: (query: LabelQuery) => Effect.Effect<ReadonlyArray<Pod>, ClusterError>
  /** `Listed`, then every change. Ends and fails as `watchPod` does. */
  readonly watchPods: (query: LabelQuery) => Stream.Stream<PodsEvent, ClusterError>
  /**
   * The pod as it is now, or `Absent`, then every change. Ends when the server ends the watch in good order; fails
   * when the connection breaks, goes silent, or the history is lost (`Expired`). The caller starts it again.
   */
  readonly watchPod: (pod: PodRef) => Stream.Stream<PodEvent, ClusterError>
  /** Events about this pod, from its first on. Ends and fails as `watchPod` does. */
  readonly podNotices: (pod: PodRef & { readonly uid: string }) => Stream.Stream<PodNotice, ClusterError>
  /**
   * Starts a program. Completes when the API server has accepted the stream, which does not yet prove that the
   * program runs: `NotStarted` may follow on `exit`.
   */
  readonly exec: (request: ExecRequest) => Effect.Effect<ExecProcess, ClusterError, Scope.Scope>
  /**
   * Connects with the container's first process, from now on: what it wrote before is not told again. `exit` is
   * `Exited` with code 0 when the process has ended, however it did: the pod's status knows.
   */
  readonly attach: (request: AttachRequest) => Effect.Effect<ExecProcess, ClusterError, Scope.Scope>
  /** Creates a PersistentVolumeClaim. Sent once; `AlreadyExists` where there is one of this name. */
  readonly createClaim: (claim: ClaimManifest) => Effect.Effect<void, ClusterError>
  /** Creates a Lease (`coordination.k8s.io/v1`). */
  readonly createLease: (lease: LeaseManifest) => Effect.Effect<Lease, ClusterError>
  /** Replaces the Lease in the state that `lease.metadata.resourceVersion` names, else `Conflict`. */
  readonly updateLease: (lease: Lease) => Effect.Effect<Lease, ClusterError>
  readonly listLeases: (query: LabelQuery) => Effect.Effect<ReadonlyArray<Lease>, ClusterError>
  readonly deleteLease: (lease: LeaseRef, precondition?: Precondition) => Effect.Effect<void, ClusterError>
}>()("kuberun/Cluster") {}
