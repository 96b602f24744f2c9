/**
 * Where to listen: `HOST:PORT`, with an IPv6 address in brackets as in a URL (RFC 3986 §3.2.2). Port 0 asks the
 * system for a free one.
 */
import { Option } from "effect"

/** `host` is a name or an address, without brackets. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export const highestPort = 65_535

/** What a good value looks like, for error messages and help. */
export const expected = "HOST:PORT, for example 127.0.0.1:2222, [::1]:2222, or 127.0.0.1:0 for a free port"

const pattern = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\]\s]+)?)\]|([^:[\]\s]+)):(\d{1,5})$/

export const parse = (text: string): Option.Option<ListenAddress> => {
  const match = pattern.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port <= highestPort)) return Option.none()
  // In brackets stands an IPv6 address, which has at least two colons.
  if (match?.[1] !== undefined && host.split(":").length < 3) return Option.none()
  return Option.some({ host, port })
}

export const format = ({ host, port }: ListenAddress): string => `${host.includes(":") ? `[${host}]` : host}:${port}`

/** The host to connect to from this machine: the loopback where the service listens on every address. */
export const reachableHost = (host: string): string => host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host

/** Whether only this machine can connect. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)
