/**
 * The names of pods and claims that more than one connection has to find. Pure.
 */
import type { Config } from "../config/Config.ts"
import type { Identity } from "../ports/Identity.ts"
import { fingerprint, fingerprintLength } from "./Fingerprint.ts"
import { expandName, valuesOf } from "./Placeholders.ts"
import { dnsCharacters, longestLabel } from "./SafeText.ts"

/** Names with this between them are an installation's and a user's own: nobody else's begin and end so. */
const nameOf = (prefix: string, instance: string, username: string): string => {
  const kept = dnsCharacters(username).replace(/^-/, "").slice(0, longestLabel - fingerprintLength - 1 - prefix.length)
    .replace(/-$/, "")
  return `${prefix}${kept === "" ? "x" : kept}-${fingerprint(JSON.stringify([instance, username]))}`
}

/**
 * The pod of a user in mode `user`, by which all replicas find it: the prefix, as much of the user's name as a DNS label
 * can show, and a fingerprint of it and of the installation (`kuberun-alice-…`). Two users have different ones, also
 * `Bob` and `bob`, and so have two installations in one namespace.
 */
export const userPodName = (config: Config, username: string): string =>
  nameOf(config.pod.namePrefix, config.instance, username)

/** A user's claim. It does not depend on the prefix of pods: who changes that does not lose what is in it. */
export const userClaimName = (config: Config, username: string): string => nameOf("kuberun-", config.instance, username)

/** The pod of mode `persistent`: `pod.name` with its placeholders put in, a DNS label. */
export const persistentPodName = (config: Config, identity: Identity): string =>
  expandName(config.pod.name, valuesOf(identity), longestLabel)
