/**
 * Statuses as the kubelet writes them, and what they are taken for.
 */
import { assert } from "@effect/vitest"
import type { ContainerState, Pod, PodStatus } from "kuberun"
import { podReadiness } from "../src/pod/PodReadiness.ts"

export const running: ContainerState = { running: {} }
export const waiting = (reason?: string, message?: string): ContainerState => ({
  waiting: { ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) }
})
export const ended = (exitCode: number, reason = "Error"): ContainerState => ({ terminated: { exitCode, reason } })
export const scheduled = { type: "PodScheduled", status: "True" }
export const isReady = { type: "Ready", status: "True" }

export const pod = (status: PodStatus, metadata: Partial<Pod["metadata"]> = {}): Pod => ({
  metadata: { name: "p", namespace: "default", ...metadata },
  spec: {
    containers: [{ name: "shell", image: "registry.example.com/geoffrey/temporary-shell:503" }, {
      name: "proxy",
      image: "envoy"
    }],
    initContainers: [{ name: "prepare", image: "busybox" }]
  },
  status
})

export const pending = (state: ContainerState, name = "shell"): Pod =>
  pod({ phase: "Pending", conditions: [scheduled], containerStatuses: [{ name, state }] })

export const failure = (subject: Pod): string => {
  const readiness = podReadiness(subject, "shell")
  assert.strictEqual(readiness._tag, "Failed", JSON.stringify(readiness))
  return readiness._tag === "Failed" ? `${readiness.reason}: ${readiness.detail}` : ""
}

export const activity = (subject: Pod): string => {
  const readiness = podReadiness(subject, "shell")
  assert.strictEqual(readiness._tag, "Starting", JSON.stringify(readiness))
  return readiness._tag === "Starting" ? readiness.activity : ""
}
