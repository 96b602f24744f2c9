/**
 * The `kuberun` command: what can be said on the command line, and what runs then.
 */
import { Effect, Option, Stdio, Stream } from "effect"
import { Command } from "effect/cli"
import { configJsonSchema } from "kuberun"
import * as ClusterCommand from "./ClusterCommand.ts"
import * as Dev from "./Dev.ts"
import { Ended } from "./Ended.ts"
import * as Flags from "./Flags.ts"
import type { ListenAddress } from "./ListenAddress.ts"
import * as Logging from "./Logging.ts"
import * as Serve from "./Serve.ts"
import * as Service from "./Service.ts"
import { supervise } from "./Shutdown.ts"
import * as Signals from "./Signals.ts"
import type { StartError } from "./StartError.ts"

const sharedFlags = {
  authorizedKeys: Flags.authorizedKeys,
  password: Flags.password,
  hostKey: Flags.hostKey,
  kubeconfig: Flags.kubeconfig,
  context: Flags.context,
  logFormat: Flags.logFormat
}

/** In dev mode the loopback: whoever may log in runs programs as this user. */
const devListen: ListenAddress = { host: "127.0.0.1", port: 2222 }
const serveListen: ListenAddress = { host: "0.0.0.0", port: 2222 }
const clusterListen: ListenAddress = { host: "127.0.0.1", port: 0 }

/** Runs a service under signals, and turns how it went into success or failure of the command. */
const supervised = <R>(
  logFormat: Logging.LogFormat,
  service: (status: Service.Status) => Effect.Effect<never, StartError, R>,
  ending?: string
) =>
  Effect.gen(function*() {
    const status = yield* Service.makeStatus
    const requests = yield* Signals.requests
    const { exitCode, message = "" } = yield* supervise({
      service: service(status),
      requests,
      remains: Service.remains(status),
      ending
    })
    if (exitCode !== 0) return yield* new Ended({ exitCode, message })
  }).pipe(Effect.scoped, Effect.provide(Logging.layer(logFormat)))

const dev = Command.make(
  "dev",
  {
    listen: Flags.listen(devListen),
    ...sharedFlags,
    kubeconfigOut: Flags.kubeconfigOut(".kuberun/kubeconfig"),
    config: Flags.optionalConfig
  },
  Effect.fn(function*(flags) {
    const options: Dev.DevOptions = {
      workingFolder: process.cwd(),
      listen: flags.listen,
      authorizedKeys: Option.getOrUndefined(flags.authorizedKeys),
      password: Option.getOrUndefined(flags.password),
      hostKey: Option.getOrUndefined(flags.hostKey),
      kubeconfigOut: Option.getOrUndefined(flags.kubeconfigOut),
      kubeconfig: Option.getOrUndefined(flags.kubeconfig),
      context: Option.getOrUndefined(flags.context),
      config: Option.getOrUndefined(flags.config)
    }
    yield* supervised(flags.logFormat, (status) => Dev.run(options, status))
  })
).pipe(
  Command.withDescription(
    "Try it out: an embedded cluster, whose pods are processes of this machine, and the SSH server in front of it. " +
      "Keys are made once and kept in the folder .kuberun. Whoever can log in runs programs as you."
  ),
  Command.withShortDescription("Try it out, with an embedded cluster"),
  Command.withExamples([
    { command: "kuberun dev", description: "Listen on 127.0.0.1:2222" },
    { command: "kuberun dev --listen 127.0.0.1:0", description: "Listen on a free port" },
    { command: "kuberun dev --kubeconfig ~/.kube/config", description: "Use a real cluster" }
  ])
)

const serve = Command.make(
  "serve",
  { listen: Flags.listen(serveListen), ...sharedFlags, config: Flags.requiredConfig },
  Effect.fn(function*(flags) {
    const options: Serve.ServeOptions = {
      workingFolder: process.cwd(),
      listen: flags.listen,
      authorizedKeys: Option.getOrUndefined(flags.authorizedKeys),
      password: Option.getOrUndefined(flags.password),
      hostKey: Option.getOrUndefined(flags.hostKey),
      kubeconfig: Option.getOrUndefined(flags.kubeconfig),
      context: Option.getOrUndefined(flags.context),
      config: flags.config
    }
    yield* supervised(flags.logFormat, (status) => Serve.run(options, status))
  })
).pipe(
  Command.withDescription(
    "Run the service for a cluster that is there already: that of --kubeconfig or --context, else the one under " +
      "connection in the configuration, else the one that kubectl would use."
  ),
  Command.withShortDescription("Run the service for a cluster"),
  Command.withExamples([
    {
      command: "kuberun serve --config kuberun.yaml --authorized-keys ~/.ssh/authorized_keys",
      description: "Let in the holders of your authorized keys"
    }
  ])
)

const minicluster = Command.make(
  "minicluster",
  {
    listen: Flags.listen(clusterListen),
    kubeconfigOut: Flags.kubeconfigOut(".kuberun/minicluster.kubeconfig"),
    hostPath: Flags.hostPath,
    faults: Flags.faults,
    logFormat: Flags.logFormat
  },
  Effect.fn(function*(flags) {
    const options: ClusterCommand.ClusterOptions = {
      workingFolder: process.cwd(),
      listen: flags.listen,
      kubeconfigOut: Option.getOrUndefined(flags.kubeconfigOut),
      hostPath: Option.getOrUndefined(flags.hostPath),
      faults: Option.getOrUndefined(flags.faults)
    }
    yield* supervised(flags.logFormat, () => ClusterCommand.run(options), ClusterCommand.ending)
  })
).pipe(
  Command.withDescription(
    "Run the embedded cluster alone, for kubectl and any other client: its pods are processes of this machine. " +
      "Whoever has its kubeconfig runs programs as you."
  ),
  Command.withShortDescription("Run the embedded cluster alone"),
  Command.withExamples([
    { command: "kuberun minicluster", description: "Listen on a free port, and print the line for your shell" },
    { command: "kuberun minicluster --faults faults.yaml", description: "Let things go wrong, as the plan says" }
  ])
)

/** What `kuberun schema` prints, and what lies beside this package as `kuberun.schema.json`. */
export const schemaText = (): string => JSON.stringify(configJsonSchema(), null, 2)

/** Waits until all of it has gone: a pipe takes 64 KiB at a time, and what it did not take is lost when the process exits. */
const print = (text: string) =>
  Effect.gen(function*() {
    const stdio = yield* Stdio.Stdio
    // Who reads no further, as `head` does, has what they wanted.
    yield* Effect.ignore(Stream.run(Stream.make(text), stdio.stdout()))
  })

const schema = Command.make("schema", {}, () => print(`${schemaText()}\n`)).pipe(
  Command.withDescription("Print the JSON schema of the configuration file, for editors."),
  Command.withShortDescription("Print the configuration's JSON schema"),
  Command.withExamples([
    { command: "kuberun schema > kuberun.schema.json", description: "Beside the file, for the editor to find" }
  ])
)

/** The whole command. */
export const kuberun = Command.make("kuberun").pipe(
  Command.withDescription("An SSH session inside a Kubernetes pod, for exactly as long as the connection lives"),
  Command.withSubcommands([dev, serve, minicluster, schema])
)
