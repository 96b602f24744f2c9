import { assert, describe, it } from "@effect/vitest"
import * as ChannelRequests from "../src/ChannelRequests.ts"

describe("the requests of a channel", () => {
  it("that are not answered when it closes no longer count against the connection", () => {
    let waiting = 0
    const sent: Array<Uint8Array> = []
    const requests = ChannelRequests.make({
      remote: 0,
      send: (message) => {
        sent.push(message)
      },
      count: (change) => {
        waiting += change
      },
      violation: (what) => assert.fail(what)
    })
    requests.onRequest("shell", true, new Uint8Array())
    requests.onRequest("x11-req", true, new Uint8Array())
    assert.strictEqual(waiting, 2)
    requests.end()
    assert.strictEqual(waiting, 0)
    assert.deepStrictEqual(sent, [])
  })
})
