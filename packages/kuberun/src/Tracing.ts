/**
 * The span of a connection, which all spans of its pod and its programs are children of.
 */
import { Effect } from "effect"
import type { Policy } from "./policy/Policy.ts"

/**
 * Puts a connection's whole life into a span that says whose it is (OpenTelemetry's names where it has one). Outermost,
 * so that what other policies do is a part of it.
 */
export const trace: Policy = (next) => (connection) =>
  Effect.withSpan(next(connection), "kuberun.connection", {
    kind: "server",
    attributes: {
      "kuberun.connection.id": connection.id,
      "user.name": connection.username,
      "client.address": connection.remoteAddress,
      "client.port": connection.remotePort,
      "server.address": connection.localAddress,
      "server.port": connection.localPort,
      "user_agent.original": connection.clientVersion
    }
  })
