import { assert, describe, it } from "@effect/vitest"
import { describeConnectionError, faultOfAnswer, faultOfConnection } from "../src/ApiFault.ts"

const status = (code: number, reason?: string, details?: object) =>
  JSON.stringify({
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    message: "the sentence",
    reason,
    details,
    code
  })

describe("an answer that is an error", () => {
  const table: ReadonlyArray<readonly [name: string, code: number, body: string, reason: string]> = [
    ["401 with its reason", 401, status(401, "Unauthorized"), "Unauthorized"],
    ["403 with its reason", 403, status(403, "Forbidden"), "Forbidden"],
    ["404 with its reason", 404, status(404, "NotFound"), "NotFound"],
    ["409 because the name is taken", 409, status(409, "AlreadyExists"), "AlreadyExists"],
    ["409 because a precondition fails", 409, status(409, "Conflict"), "Conflict"],
    ["410 Expired", 410, status(410, "Expired"), "Expired"],
    ["410 Gone", 410, status(410, "Gone"), "Expired"],
    ["422 Invalid", 422, status(422, "Invalid"), "Rejected"],
    ["400 BadRequest", 400, status(400, "BadRequest"), "Rejected"],
    ["405 MethodNotAllowed", 405, status(405, "MethodNotAllowed"), "Rejected"],
    ["415 UnsupportedMediaType", 415, status(415, "UnsupportedMediaType"), "Rejected"],
    ["429 TooManyRequests", 429, status(429, "TooManyRequests"), "TooManyRequests"],
    ["500 InternalError", 500, status(500, "InternalError"), "ServerFault"],
    ["500 ServerTimeout", 500, status(500, "ServerTimeout"), "ServerFault"],
    ["503 ServiceUnavailable", 503, status(503, "ServiceUnavailable"), "ServerFault"],
    ["504 Timeout", 504, status(504, "Timeout"), "ServerFault"],
    ["a reason that contradicts the code: the reason decides", 500, status(500, "AlreadyExists"), "AlreadyExists"],
    ["a reason that nobody knows: the code decides", 403, status(403, "Novel"), "Forbidden"],
    ["401 without a Status", 401, "Unauthorized", "Unauthorized"],
    ["403 without a Status", 403, "", "Forbidden"],
    ["404 without a Status", 404, "404 page not found", "NotFound"],
    ["409 without a Status", 409, "", "Conflict"],
    ["410 without a Status", 410, "", "Expired"],
    ["429 without a Status", 429, "slow down", "TooManyRequests"],
    ["502 with a proxy's page", 502, "<html><body>Bad Gateway</body></html>", "ServerFault"],
    ["a redirect", 302, "", "Rejected"],
    ["413 without a Status", 413, "", "Rejected"]
  ]
  for (const [name, code, body, reason] of table) {
    it(`${name} is ${reason}`, () => assert.strictEqual(faultOfAnswer({ code, body })._tag, reason))
  }

  it("is told in the API server's own sentence", () => {
    assert.strictEqual(faultOfAnswer({ code: 403, body: status(403, "Forbidden") }).detail, "the sentence")
  })

  it("says how long to wait, from the Status before the header", () => {
    const fault = faultOfAnswer({
      code: 429,
      body: status(429, "TooManyRequests", { retryAfterSeconds: 7 }),
      retryAfter: "1"
    })
    assert.deepInclude(fault, { retryAfterSeconds: 7 })
    assert.deepInclude(faultOfAnswer({ code: 429, body: "", retryAfter: "3" }), { retryAfterSeconds: 3 })
    assert.notProperty(faultOfAnswer({ code: 429, body: "", retryAfter: "Wed, 21 Oct 2026" }), "retryAfterSeconds")
  })

  it("shows a text in short, and no page at all", () => {
    assert.include(faultOfAnswer({ code: 502, body: "no\n  backend" }).detail, "HTTP 502: no backend")
    assert.strictEqual(faultOfAnswer({ code: 502, body: "<html>" }).detail, "the server answered HTTP 502")
    assert.isBelow(faultOfAnswer({ code: 502, body: "x".repeat(10_000) }).detail.length, 300)
  })
})

describe("no answer", () => {
  const error = (code: string, message: string) => Object.assign(new Error(message), { code })

  it("is Unreachable, and what it was is said in words", () => {
    assert.strictEqual(faultOfConnection(error("ECONNREFUSED", "x"))._tag, "Unreachable")
    assert.include(
      describeConnectionError(error("ECONNREFUSED", "connect 127.0.0.1:1")),
      "refused (connect 127.0.0.1:1)"
    )
    assert.include(describeConnectionError(error("ENOTFOUND", "getaddrinfo x")), "name could not be resolved")
    assert.include(describeConnectionError(error("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed")), "certificate")
  })

  it("of several addresses is told by the first", () => {
    const error1 = error("ECONNREFUSED", "connect ECONNREFUSED ::1:1")
    assert.include(describeConnectionError(new AggregateError([error1], "")), "refused (connect ECONNREFUSED ::1:1)")
  })

  it("is a violation where the server does not speak HTTP", () => {
    assert.strictEqual(faultOfConnection(error("HPE_INVALID_CONSTANT", "Expected HTTP/"))._tag, "ProtocolViolation")
  })
})
