/** Requests of the API that are nearly right. What they create runs nothing but `true`. */
import { Buffer } from "node:buffer"
import { groupVersion, type Resource, resourceTypes, reviewTypes } from "../../src/shapes/Resources.ts"
import {
  accepts,
  bombs,
  configMapBytes,
  deletion,
  elsewhere,
  ephemeral,
  eviction,
  patches,
  podBytes,
  queries,
  reviews,
  richPod,
  smallPod,
  texts,
  tokenRequest,
  types
} from "./FuzzSeeds.ts"
import { type Dice, mutateBytes, mutateJson, oddTexts } from "./Mutation.ts"
import { pathOf, resources, samples } from "./Samples.ts"

export interface FuzzRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
  /** An answer that may have no end by itself: its first bytes are enough. */
  readonly endless: boolean
}

/** Few, so that requests meet what others made. None of them is the node's name. */
const names = ["one", "two", "three", "four"]
export const fuzzNamespaces = ["default", "fuzz-one", "fuzz-two"]

/** Whatever became of a value: every program in it is `true`, and every image one that runs what it is told. */
const harmless = (value: unknown, depth = 0): unknown => {
  if (typeof value !== "object" || value === null || depth > 60) return value
  if (Array.isArray(value)) return value.map((one) => harmless(one, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      key === "command" && Array.isArray(one) && one.length > 0
        ? ["true", ...one.slice(1)]
        : harmless(one, depth + 1)
    ])
  )
}

/** In a URL as it may stand on the wire; now and then one that no decoder takes. */
const urlText = (dice: Dice, text: string): string =>
  dice.chance(0.1)
    ? dice.pick(["%", "%zz", "%ff", "%ed%a0%80", "%00", "a%2fb", ";", "&", "=", "?", "+"])
    : encodeURIComponent(text.toWellFormed()).slice(0, 4000)

const queryOf = (dice: Dice): string =>
  Array.from({ length: dice.int(4) }, () => {
    const [key, values] = dice.pick(queries)
    return `${dice.chance(0.05) ? urlText(dice, dice.pick(oddTexts)) : key}=${
      urlText(dice, dice.chance(0.8) ? dice.pick(values) : dice.pick(oddTexts))
    }`
  }).join("&")

interface Subject {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly type?: string
}

/** What a request is about, before anything is done to it. */
const subject = (dice: Dice): Subject => {
  const resource: Resource = dice.chance(0.3) ? "pods" : dice.pick(resources)
  const type = resourceTypes[resource]
  const collection = pathOf(resource, dice.pick(fuzzNamespaces))
  const name = dice.pick(names)
  const named = { apiVersion: groupVersion(type), kind: type.kind }
  const content = resource === "pods" ? dice.pick([richPod, smallPod]) : samples[resource]
  const object = { ...named, ...content, metadata: { ...(content === richPod ? richPod.metadata : {}), name } }
  const one = `${collection}/${name}`
  const patch = dice.pick(Object.keys(patches) as ReadonlyArray<keyof typeof patches>)
  const review = dice.pick(Object.keys(reviews) as ReadonlyArray<keyof typeof reviews>)
  const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] }
  const create = (): Subject => ({ method: "POST", path: collection, body: object })
  const change = (): Subject => ({ method: "PATCH", path: one, body: patches[patch], type: patch })
  return dice.pick<() => Subject>([
    create,
    create,
    create,
    create,
    change,
    change,
    change,
    () => ({ method: "PUT", path: one, body: object }),
    () => ({ method: "PUT", path: one, body: object }),
    () => ({ method: "DELETE", path: one, body: dice.chance(0.5) ? undefined : deletion }),
    // What every pod needs stays.
    () => ({
      method: "DELETE",
      path: dice.chance(0.1) && !["serviceaccounts", "configmaps"].includes(resource) ? collection : one,
      body: undefined
    }),
    () => ({ method: "GET", path: one, body: undefined }),
    () => ({ method: "GET", path: collection, body: undefined }),
    () => ({ method: "GET", path: collection.replace(/\/namespaces\/[^/]+/, ""), body: undefined }),
    () => ({ method: "GET", path: `${one}/log`, body: undefined }),
    () => ({ method: dice.pick(["PUT", "PATCH", "GET"]), path: `${one}/status`, body: { ...object, status } }),
    () => ({
      method: dice.pick(["PUT", "PATCH"]),
      path: `${pathOf("pods")}/${name}/ephemeralcontainers`,
      body: { metadata: { name }, ...ephemeral }
    }),
    () => ({ method: "POST", path: `${pathOf("pods")}/${name}/eviction`, body: eviction }),
    () => ({ method: "POST", path: `${pathOf("serviceaccounts")}/default/token`, body: tokenRequest }),
    () => ({
      method: "POST",
      path: `/apis/${groupVersion(reviewTypes[review])}/${review}`,
      body: { ...reviews[review], apiVersion: groupVersion(reviewTypes[review]), kind: reviewTypes[review].kind }
    }),
    () => ({ method: dice.pick(["GET", "GET", "POST"]), path: dice.pick(elsewhere), body: undefined })
  ])()
}

const bodyOf = (
  dice: Dice,
  method: string,
  { body: value, type }: Subject
): readonly [Buffer | undefined, string] => {
  const json = type ?? (method === "PATCH" ? dice.pick(Object.keys(patches)) : "application/json")
  if (value === undefined && dice.chance(0.95)) return [undefined, json]
  return dice.pick<() => readonly [Buffer, string]>([
    ...Array.from({ length: 4 }, () => (): readonly [Buffer, string] => [
      Buffer.from(JSON.stringify(harmless(value)) ?? ""),
      json
    ]),
    ...Array.from({ length: 7 }, () => (): readonly [Buffer, string] => [
      Buffer.from(JSON.stringify(harmless(mutateJson(dice, value ?? {}, 1 + dice.int(4)))) ?? ""),
      json
    ]),
    // What is damaged as a text must not be one of a pod that would run.
    () => [
      mutateBytes(dice, Buffer.from(JSON.stringify({ metadata: { name: "one" }, data: { a: "b" } })), 1 + dice.int(3)),
      json
    ],
    () => [Buffer.from(dice.pick(bombs)), method === "PATCH" ? "application/apply-patch+yaml" : "application/yaml"],
    () => [Buffer.from(dice.pick(texts)), json],
    () => [
      mutateBytes(dice, dice.pick([podBytes, configMapBytes]), 1 + dice.int(5)),
      "application/vnd.kubernetes.protobuf"
    ],
    () => [Buffer.concat([Buffer.from("k8s\0"), dice.bytes(dice.int(300))]), "application/vnd.kubernetes.protobuf"],
    () => [
      Buffer.alloc(dice.chance(0.02) ? 4 * 1024 * 1024 : 50_000, dice.pick(["[", "{", "\"", "9", "a: "])),
      dice.pick(types)
    ]
  ])()
}

/** A header's value as it may be sent at all. */
const headerText = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 8000)

export const fuzzRequest = (dice: Dice): FuzzRequest => {
  const about = subject(dice)
  const method = dice.chance(0.04)
    ? dice.pick(["HEAD", "OPTIONS", "TRACE", "GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
    : about.method
  const [bytes, type] = bodyOf(dice, method, about)
  const parts = about.path.split("/")
  if (dice.chance(0.12)) parts[dice.int(parts.length)] = urlText(dice, dice.pick(oddTexts))
  if (dice.chance(0.03)) {
    parts.splice(
      dice.int(parts.length),
      0,
      ...Array.from({ length: dice.pick([1, 2, 500]) }, () => "x")
    )
  }
  const path = parts.join("/")
  const watches = about.method === "GET" && dice.chance(0.06)
  const query = [queryOf(dice), watches ? "watch=true&timeoutSeconds=1" : ""].filter((part) => part !== "").join("&")
  const headers: Record<string, string> = {
    accept: dice.chance(0.6) ? "application/json" : dice.chance(0.5) ? accepts[1] ?? "" : dice.pick(accepts),
    ...(bytes === undefined ? {} : {
      "content-type": dice.chance(0.92) ? type : dice.pick(types),
      "content-length": String(bytes.length)
    }),
    ...(dice.chance(0.03) ? { "impersonate-user": headerText(dice.pick(oddTexts)) } : {}),
    ...(dice.chance(0.02) ? { "impersonate-group": headerText(dice.pick(oddTexts)) } : {}),
    ...(dice.chance(0.02)
      ? { [`impersonate-extra-${dice.pick(["a", "%", "%zz"])}`]: headerText(dice.pick(oddTexts)) }
      : {}),
    ...(dice.chance(0.02)
      ? { authorization: headerText(dice.pick(["Bearer", "Basic x", "Bearer a.b.c", ...oddTexts])) }
      : {}),
    ...(dice.chance(0.02) ? { "content-encoding": dice.pick(["gzip", "x"]) } : {}),
    ...(dice.chance(0.02) ? { [`x-${"y".repeat(dice.int(200))}`]: headerText(dice.pick(oddTexts)) } : {})
  }
  const target = `${path.startsWith("/") ? path : `/${path}`}${query === "" || path.includes("?") ? "" : `?${query}`}`
  return {
    method,
    path: target.replaceAll(/[^\x21-\x7e]/g, "%20").slice(0, 60_000),
    headers,
    body: bytes,
    endless: /watch|follow/.test(target)
  }
}
