import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ClusterError, type ClusterErrorReason, Unauthorized } from "kuberun"
import {
  ContainerRestarted,
  NotReadyInTime,
  PodDeleted,
  PodEnded,
  PodFailed,
  PodStartError,
  Refused
} from "../src/pod/PodStartError.ts"
import * as Reasons from "../src/ports/Cluster.ts"
import { execSentence, notStartedSentence, podSentence } from "../src/session/Sentences.ts"

const text = Schema.Array(Schema.Union([
  Schema.String,
  Schema.Literals(["\r\n", "\u001b[2J", "\u0000", "\u007f", "\u009b31m", "\u0085", "denied", ".", "", "not found", "é"])
])).check(Schema.isMaxLength(8))

const clusterReasons = (detail: string): ReadonlyArray<ClusterErrorReason> => [
  new Reasons.Unreachable({ detail }),
  new Reasons.CallTimedOut({ detail }),
  new Unauthorized({ detail }),
  new Reasons.Forbidden({ detail }),
  new Reasons.NotFound({ detail }),
  new Reasons.AlreadyExists({ detail }),
  new Reasons.Conflict({ detail }),
  new Reasons.Rejected({ status: 422, detail }),
  new Reasons.TooManyRequests({ detail }),
  new Reasons.Expired({ detail }),
  new Reasons.ServerFault({ status: 503, detail }),
  new Reasons.StreamLost({ detail }),
  new Reasons.ProtocolViolation({ detail }),
  new Reasons.Unsupported({ detail }),
  new Reasons.Misconfigured({ detail })
]

const podReasons = ["ErrImagePull", "InvalidImageName", "Evicted", "OutOfcpu", "SomethingNew", "constructor"]

/** Every sentence there is, with `detail` wherever a cluster's own text can stand. */
const sentences = (detail: string): ReadonlyArray<string> => {
  const errors = clusterReasons(detail).map((reason) => new ClusterError({ operation: "create pod a/b", reason }))
  const failures = podReasons.map((reason) => new PodFailed({ reason, detail }))
  return [
    ...errors.flatMap((error) => [
      execSentence(error),
      podSentence(new PodStartError({ pod: "b", reason: new Refused({ error }) }))
    ]),
    ...failures.flatMap((reason) => [
      podSentence(new PodStartError({ pod: "b", reason })),
      podSentence(new PodEnded({ pod: "b", reason }))
    ]),
    podSentence(new PodStartError({ pod: "b", reason: new PodDeleted() })),
    podSentence(new PodEnded({ pod: "b", reason: new PodDeleted() })),
    podSentence(new PodEnded({ pod: "b", reason: new PodDeleted({ reason: "EvictionByEvictionAPI", detail }) })),
    podSentence(new PodStartError({ pod: "b", reason: new PodDeleted({ reason: `x${detail}`, detail }) })),
    podSentence(
      new PodEnded({ pod: "b", reason: new ContainerRestarted({ container: "shell", reason: detail, exitCode: 1 }) })
    ),
    podSentence(new PodStartError({ pod: "b", reason: new NotReadyInTime({ seconds: 60, activity: detail }) })),
    notStartedSentence(["/bin/bash"], detail),
    notStartedSentence([], `executable file not found in $PATH ${detail}`),
    notStartedSentence([`/opt/${detail}`], `no such file or directory ${detail}`)
  ]
}

describe("a sentence for the user", () => {
  it.effect.prop(
    "is one printable line with a period at its end, whatever text the cluster gave",
    { pieces: text },
    ({ pieces }) =>
      Effect.sync(() => {
        const detail = pieces.join("")
        for (const sentence of sentences(detail)) {
          assert.notMatch(sentence, /\p{Cc}/u)
          assert.match(sentence, /^[A-Z].*[^\s]\.$/u)
          if (!detail.includes("undefined")) assert.notInclude(sentence, "undefined")
          assert.notInclude(sentence, "[object")
        }
      }),
    { arbitrary: { runs: 300 } }
  )

  it("ends with one period where the cluster's own text has one", () => {
    for (const sentence of sentences("quota is used up.")) assert.notMatch(sentence, /\.\.$/)
  })

  it("holds the cluster's own words, which name what is wrong", () => {
    for (const sentence of sentences("pods is forbidden").filter((each) => !/was deleted|The image of/.test(each))) {
      assert.include(sentence, "pods is forbidden")
    }
  })

  it("tells whose fault it is and what to do", () => {
    const refused = (reason: ClusterErrorReason) =>
      podSentence(
        new PodStartError({ pod: "b", reason: new Refused({ error: new ClusterError({ operation: "x", reason }) }) })
      )
    assert.strictEqual(
      refused(new Reasons.Unreachable({ detail: "no route" })),
      "Your pod could not be started: the cluster cannot be reached (no route); try again later."
    )
    assert.strictEqual(
      refused(new Unauthorized({ detail: "expired" })),
      "Your pod could not be started: the cluster does not accept this service's credentials (expired); tell its administrator."
    )
  })

  it("says in words why the cluster took a pod away", () => {
    const ended = (reason: string, detail = "its own words") =>
      podSentence(new PodEnded({ pod: "b", reason: new PodFailed({ reason, detail }) }))
    const deleted = (reason: string, detail?: string) =>
      podSentence(
        new PodEnded({ pod: "b", reason: new PodDeleted({ reason, ...(detail === undefined ? {} : { detail }) }) })
      )
    const failed = "Your pod b has ended under this session:"
    assert.strictEqual(ended("Evicted"), `${failed} it was evicted from its node: its own words (Evicted).`)
    assert.strictEqual(ended("NodeLost"), `${failed} its node was lost: its own words (NodeLost).`)
    assert.strictEqual(ended("OutOfmemory"), `${failed} its node has no memory left: its own words (OutOfmemory).`)
    assert.strictEqual(ended("constructor"), `${failed} its own words (constructor).`)
    assert.strictEqual(ended("SomethingNew"), `${failed} its own words (SomethingNew).`)
    const gone = "Your pod b was deleted, so this session ends:"
    assert.strictEqual(
      deleted("DeletionByTaintManager"),
      `${gone} its node was lost, or takes such pods no longer (DeletionByTaintManager).`
    )
    assert.strictEqual(
      deleted("EvictionByEvictionAPI", "Eviction API: evicting."),
      `${gone} it was evicted, as when its node is emptied (Eviction API: evicting).`
    )
    assert.strictEqual(deleted("SomethingNew"), `${gone} the cluster took it away (SomethingNew).`)
  })

  it("tells how a container ended that was started again", () => {
    const restarted = (how: { readonly reason?: string; readonly exitCode?: number }) =>
      podSentence(new PodEnded({ pod: "b", reason: new ContainerRestarted({ container: "shell", ...how }) }))
    const first = "Your pod b: container shell was restarted"
    const last = ", and your program ended with it."
    assert.strictEqual(
      restarted({ reason: "OOMKilled", exitCode: 137 }),
      `${first} (OOMKilled, exit code 137)${last}`
    )
    assert.strictEqual(restarted({ exitCode: 1 }), `${first} (exit code 1)${last}`)
    assert.strictEqual(restarted({}), `${first}${last}`)
  })
})
