import { Redacted } from "effect"
import type { ConnectionSettings } from "../src/index.ts"

/** The seed's defaults, with nothing set. */
export const settings: ConnectionSettings = {
  host: "kubernetes.default.svc",
  path: "/api",
  username: "",
  password: Redacted.make(""),
  insecure: false,
  serverName: "",
  certFile: "",
  keyFile: "",
  cacertFile: "",
  cert: "",
  key: Redacted.make(""),
  cacert: "",
  bearerToken: Redacted.make(""),
  bearerTokenFile: "",
  qps: 5,
  burst: 10
}
