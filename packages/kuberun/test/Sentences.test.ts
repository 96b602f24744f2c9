import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ClusterError, type ClusterErrorReason, Unauthorized } from "kuberun"
import * as Reasons from "../src/Cluster.ts"
import { NotReadyInTime, PodDeleted, PodEnded, PodFailed, PodStartError, Refused } from "../src/PodStartError.ts"
import { execSentence, notStartedSentence, podSentence } from "../src/Sentences.ts"

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

const podReasons = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "Evicted"]

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
})
