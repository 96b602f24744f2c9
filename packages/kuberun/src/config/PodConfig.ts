/**
 * The keys under `pod`: which pod a connection gets, what runs in it, and for how long. Names and defaults of kuberun
 * v0.9.3 where it had them. What the keys mean to each other is checked in `PodRules.ts`.
 */
import { Effect, Schema } from "effect"
import type { Container } from "../ports/Pod.ts"
import { GoDuration, GoDurationOrZero } from "./GoDuration.ts"
import { podRules } from "./PodRules.ts"
import { PodSpecSchema } from "./PodSpecSchema.ts"

/** A DNS label of RFC 1123, which Kubernetes asks of namespaces and containers. */
export const DnsLabel = Schema.String.check(
  Schema.isPattern(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u, {
    expected: "1 to 63 lower-case letters, digits or dashes, with a letter or digit at both ends"
  })
)

const Command = Schema.Array(Schema.String)

/** The containers of kuberun v0.9.3 where the configuration names none. */
const defaultContainer = { name: "shell", image: "containerssh/containerssh-guest-image" } satisfies Container

const texts = (description: string) =>
  Schema.Record(Schema.String, Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.sync(() => ({}))))
    .annotateKey({ description })

/**
 * Which pod a session channel gets:
 *
 * - `connection`: one for each connection, deleted with it (kuberun v0.9.3).
 * - `session`: one for each channel, whose program is the container's first process; deleted with the channel.
 * - `persistent`: the pod called `name`, which is there already or, with `createMissingPods`, made; never deleted.
 * - `user`: one for each user, shared by all connections of all replicas; deleted `linger` after the last one.
 */
export const PodMode = Schema.Literals(["connection", "session", "persistent", "user"])
export type PodMode = typeof PodMode.Type

/** A PersistentVolumeClaim for each user, made with the user's first pod and never deleted. */
export const ClaimConfig = Schema.Struct({
  storage: Schema.String.check(
    Schema.isPattern(/^\+?(?=[\d.]*[1-9])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$/u, {
      expected: `a Kubernetes quantity above 0 such as "5Gi"`
    })
  ).pipe(Schema.withDecodingDefaultKey(Effect.succeed("1Gi")))
    .annotateKey({ description: "How much (resources.requests.storage): a Kubernetes quantity." }),
  storageClassName: Schema.optionalKey(Schema.String)
    .annotateKey({ description: "The storage class; left out: the cluster's default." }),
  accessModes: Schema.NonEmptyArray(
    Schema.Literals(["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"])
  ).pipe(Schema.withDecodingDefaultKey(Effect.succeed(["ReadWriteOnce"] as const)))
    .annotateKey({ description: "How the volume may be mounted." }),
  mountPath: Schema.String.check(Schema.isPattern(/^\//u, { expected: "a path that begins with /" }))
    .annotateKey({ description: "Where the console container finds the volume." })
})
export type ClaimConfig = typeof ClaimConfig.Type

/** The pod to launch, and what runs in it. */
export const PodConfig = Schema.Struct({
  namespace: DnsLabel.pipe(Schema.withDecodingDefaultKey(Effect.succeed("default")))
    .annotateKey({ description: "The namespace of the pods." }),
  mode: PodMode.pipe(Schema.withDecodingDefaultKey(Effect.succeed("connection"))).annotateKey({
    description: "Which pod a session gets: one for each connection, one for each session (channel), a persistent one" +
      " by its name, or one for each user."
  }),
  namePrefix: Schema.String.check(
    Schema.isPattern(/^[a-z0-9][-a-z0-9]{0,39}$/u, {
      expected: "1 to 40 lower-case letters, digits or dashes, with a letter or digit at the beginning"
    })
  ).pipe(Schema.withDecodingDefaultKey(Effect.succeed("kuberun-")))
    .annotateKey({ description: "What the names of the pods begin with." }),
  name: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))
    .annotateKey({ description: "With mode persistent: the pod's name; placeholders may stand in it." }),
  createMissingPods: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false)))
    .annotateKey({ description: "With mode persistent: make a pod that is not there." }),
  labels: texts("Further labels of the pods; placeholders may stand in the values."),
  annotations: texts("Further annotations of the pods; placeholders may stand in the values."),
  exposeAuthMetadataAsEnv: texts("What the authenticator said of the user: its name there to a variable of programs."),
  exposeAuthMetadataAsLabels: texts("What the authenticator said of the user: its name there to a label of the pod."),
  exposeAuthMetadataAsAnnotations: texts(
    "What the authenticator said of the user: its name there to an annotation of the pod."
  ),
  claim: Schema.optionalKey(ClaimConfig).annotateKey({
    description: "With mode user: a volume of the user's own, made with their first pod and never deleted."
  }),
  linger: GoDurationOrZero.pipe(Schema.withDecodingDefaultKey(Effect.succeed("0s")))
    .annotateKey({ description: "With mode user: how long the pod stays after its last connection." }),
  idleTimeout: Schema.optionalKey(GoDuration).annotateKey({
    description: "Ends a connection on which no byte went either way for so long; left out: never."
  }),
  maxLifetime: Schema.optionalKey(GoDuration)
    .annotateKey({
      description: "Ends a pod, and the connections to it, so long after its start; with mode persistent the" +
        " connections alone, each after its own; left out: never."
    }),
  warning: GoDuration.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1m")))
    .annotateKey({ description: "How long before idleTimeout and maxLifetime the terminals are told." }),
  agentPath: Schema.NonEmptyString.pipe(Schema.withDecodingDefaultKey(Effect.succeed("/usr/bin/containerssh-agent")))
    .annotateKey({ description: "ContainerSSH's guest agent in the image." }),
  disableAgent: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(true)))
    .annotateKey({ description: "Do without the guest agent. false: use it." }),
  consoleContainer: Schema.optionalKey(DnsLabel)
    .annotateKey({ description: "The container that programs run in, by its name instead of by its number." }),
  consoleContainerNumber: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(0))
  ).annotateKey({ description: "The container that programs run in: its place in podSpec.containers, from 0." }),
  podSpec: PodSpecSchema.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed({ containers: [defaultContainer] as const }))
  ).annotateKey({ description: "The pod: a Kubernetes PodSpec." }),
  subsystems: Schema.Record(Schema.String, Schema.NonEmptyString).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed({ sftp: "/usr/lib/openssh/sftp-server" }))
  ).annotateKey({ description: "Subsystem name to the executable that serves it." }),
  shellCommand: Command.pipe(Schema.withDecodingDefaultKey(Effect.succeed(["/bin/bash"])))
    .annotateKey({ description: "What runs for a shell; empty: shells are refused." }),
  idleCommand: Schema.NonEmptyArray(Schema.String).pipe(
    Schema.withDecodingDefaultKey(
      Effect.succeed(["/bin/sh", "-c", "sleep infinity & PID=$!; trap \"kill $PID\" INT TERM; wait"] as const)
    )
  ).annotateKey({
    description: "The console container's first process, which keeps the pod up while programs come and go."
  })
}).check(
  Schema.makeFilter((pod) =>
    podRules.flatMap((rule) => rule.faults(pod)).map(({ message, path }) => ({ path, issue: message }))
  )
)
export type PodConfig = typeof PodConfig.Type

/** The container that programs run in. */
export const consoleContainer = (pod: PodConfig): Container =>
  pod.podSpec.containers.find((container) => container.name === pod.consoleContainer) ??
    pod.podSpec.containers[pod.consoleContainerNumber] ?? pod.podSpec.containers[0]
