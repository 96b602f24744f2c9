/**
 * Whether the user's own `known_hosts` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) knows this address with another key.
 * `ssh` would refuse to connect then: with two checkouts on the same port that happens to everybody once. Pure.
 */
import { createHmac } from "node:crypto"
import type { ListenAddress } from "./ListenAddress.ts"

const standardPort = 22

/** The address as known_hosts spells it: `[127.0.0.1]:2222`. */
export const hostName = ({ host, port }: ListenAddress): string => port === standardPort ? host : `[${host}]:${port}`

const isHashOf = (field: string, name: string): boolean => {
  const [, version, salt, hash] = field.split("|")
  return version === "1" && salt !== undefined && hash !== undefined &&
    createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash
}

const names = (field: string, name: string): boolean =>
  field.startsWith("|") ? isHashOf(field, name) : field.split(",").includes(name)

/** True when the file has keys of this type for the address, and none of them is this one. */
export const knowsAnotherKey = (text: string, address: ListenAddress, publicKey: string): boolean => {
  const [type, key] = publicKey.trim().split(/\s+/)
  const known = text.split(/\r?\n/)
    .map((line) => line.trim().split(/\s+/))
    .filter(([hosts, knownType]) => hosts !== undefined && knownType === type && names(hosts, hostName(address)))
    .map(([, , knownKey]) => knownKey)
  return known.length > 0 && !known.includes(key)
}
