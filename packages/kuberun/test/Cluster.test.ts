import { assert, describe, it } from "@effect/vitest"
import {
  AlreadyExists,
  CallTimedOut,
  ClusterError,
  type ClusterErrorReason,
  Conflict,
  Expired,
  Forbidden,
  isAmbiguous,
  isTransient,
  Misconfigured,
  NotFound,
  ProtocolViolation,
  Rejected,
  ServerFault,
  StreamLost,
  TooManyRequests,
  Unauthorized,
  Unreachable,
  Unsupported
} from "kuberun"

const detail = "so it is"

interface Verdict {
  readonly reason: ClusterErrorReason
  readonly transient: boolean
  readonly ambiguous: boolean
}

/** One row for each reason: the type asks for a new row when a reason is added. */
const table: { readonly [Tag in ClusterErrorReason["_tag"]]: Verdict } = {
  Unreachable: { reason: new Unreachable({ detail }), transient: true, ambiguous: true },
  CallTimedOut: { reason: new CallTimedOut({ detail }), transient: true, ambiguous: true },
  Unauthorized: { reason: new Unauthorized({ detail }), transient: false, ambiguous: false },
  Forbidden: { reason: new Forbidden({ detail }), transient: false, ambiguous: false },
  NotFound: { reason: new NotFound({ detail }), transient: false, ambiguous: false },
  AlreadyExists: { reason: new AlreadyExists({ detail }), transient: false, ambiguous: false },
  Conflict: { reason: new Conflict({ detail }), transient: false, ambiguous: false },
  Rejected: { reason: new Rejected({ status: 422, detail }), transient: false, ambiguous: false },
  TooManyRequests: { reason: new TooManyRequests({ detail }), transient: true, ambiguous: false },
  Expired: { reason: new Expired({ detail }), transient: true, ambiguous: false },
  ServerFault: { reason: new ServerFault({ status: 500, detail }), transient: true, ambiguous: true },
  StreamLost: { reason: new StreamLost({ detail }), transient: true, ambiguous: true },
  ProtocolViolation: { reason: new ProtocolViolation({ detail }), transient: false, ambiguous: true },
  Unsupported: { reason: new Unsupported({ detail }), transient: false, ambiguous: false },
  Misconfigured: { reason: new Misconfigured({ detail }), transient: false, ambiguous: false }
}

describe("a cluster's error", () => {
  for (const [tag, { ambiguous, reason, transient }] of Object.entries(table)) {
    it(`${tag} ${transient ? "may pass" : "stays"}, and ${ambiguous ? "leaves open" : "settles"} what a write did`, () => {
      const error = new ClusterError({ operation: "create pod default/a", reason })
      assert.strictEqual(reason._tag, tag)
      assert.strictEqual(isTransient(error), transient)
      assert.strictEqual(isAmbiguous(error), ambiguous)
      assert.strictEqual(error.message, "cannot create pod default/a: so it is")
    })
  }
})
