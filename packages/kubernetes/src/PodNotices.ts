/**
 * Events (`core/v1.Event`) as notices.
 */
import type { PodNotice } from "kuberun"
import { isRecord } from "./ApiFault.ts"
import type { ApiObject } from "./Watch.ts"

const text = (object: ApiObject, field: string): string => {
  const value = object[field]
  return typeof value === "string" ? value : ""
}

export const noticeOf = (event: ApiObject): PodNotice => ({
  type: text(event, "type"),
  reason: text(event, "reason"),
  message: text(event, "message")
})

/** When an event happened last, by whichever of the three ways of saying so it uses. */
const timeOf = (event: ApiObject): number => {
  const metadata = isRecord(event["metadata"]) ? event["metadata"] : {}
  const time = text(event, "lastTimestamp") || text(event, "eventTime") || text(metadata, "creationTimestamp")
  const millis = Date.parse(time)
  return Number.isNaN(millis) ? 0 : millis
}

/** In the order in which they happened; a list comes in the order of names. */
export const sinceFirst = (events: ReadonlyArray<ApiObject>): ReadonlyArray<ApiObject> =>
  events.toSorted((one, other) => timeOf(one) - timeOf(other))
