/**
 * The flags of the command line, shared by the commands.
 */
import { Config, Redacted } from "effect"
import { Flag } from "effect/cli"
import { configKeys } from "./ConfigFile.ts"
import * as ListenAddress from "./ListenAddress.ts"
import { logFormats } from "./Logging.ts"

/** The command line's own parser makes the path absolute. */
const file = (name: string, description: string) =>
  Flag.Path(name).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(description),
    Flag.optional
  )

/** Where to listen, with the command's own default. */
export const listen = (byDefault: ListenAddress.ListenAddress) =>
  Flag.String("listen").pipe(
    Flag.withMetavar("HOST:PORT"),
    Flag.withDescription(
      `Address to listen on; port 0 takes a free one (default ${ListenAddress.format(byDefault)})`
    ),
    Flag.filterMap(ListenAddress.parse, () => ListenAddress.expected),
    Flag.withDefault(byDefault)
  )

/** Where a password may stand besides the command line, which every user of the machine can read. */
export const passwordVariable = "KUBERUN_PASSWORD"

export const password = Flag.Redacted("password").pipe(
  Flag.withMetavar("TEXT"),
  Flag.withDescription(
    `Let in whoever knows this password; also read from ${passwordVariable}, which other users cannot see`
  ),
  Flag.withFallbackConfig(Config.Redacted(passwordVariable)),
  Flag.filter((text) => Redacted.value(text) !== "", () => "the password must not be empty"),
  Flag.optional
)

export const authorizedKeys = file(
  "authorized-keys",
  "Let in the holders of these keys, in the format of ~/.ssh/authorized_keys"
)

export const hostKey = file("host-key", "The server's private key in OpenSSH's format (default .kuberun/host_key)")

/** With the command's own default. */
export const kubeconfigOut = (byDefault: string) =>
  file("kubeconfig-out", `Where to write the embedded cluster's kubeconfig (default ${byDefault})`)

export const hostPath = Flag.Directory("host-path", { mustExist: true }).pipe(
  Flag.withMetavar("FOLDER"),
  Flag.withDescription("What pods see as the machine's root in hostPath volumes; without it these are refused"),
  Flag.optional
)

export const faults = file("faults", "A plan of faults in YAML or JSON, in force from the start")

export const kubeconfig = file("kubeconfig", "Use the cluster of this kubeconfig")

export const context = Flag.String("context").pipe(
  Flag.withMetavar("NAME"),
  Flag.withDescription("Use the cluster of this context of the kubeconfig"),
  Flag.optional
)

const configDescription = `Configuration in YAML or JSON with the keys ${configKeys}`

export const optionalConfig = file("config", configDescription)

export const requiredConfig = Flag.Path("config").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription(configDescription)
)

export const logFormat = Flag.Literals("log-format", logFormats).pipe(
  Flag.withDescription("How log entries are written to stderr (default pretty)"),
  Flag.withDefault("pretty")
)
