import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { format, highestPort, isLoopback, parse, reachableHost } from "../src/ListenAddress.ts"

const port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: highestPort }))
const hex = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }))
const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))

describe("the listen address", () => {
  it.effect.prop("is read back as it was written, for IPv4, IPv6 and names", {
    bytes: Schema.Tuple([byte, byte, byte, byte]),
    groups: Schema.Tuple([hex, hex, hex]),
    label: Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9-]{0,20}$/)),
    port
  }, ({ bytes, groups, label, port }) =>
    Effect.sync(() => {
      const hosts = [bytes.join("."), `fe80::${groups.map((group) => group.toString(16)).join(":")}`, label]
      for (const host of hosts) {
        assert.deepStrictEqual(parse(format({ host, port })), Option.some({ host, port }))
      }
    }))

  it("is refused without a port, with one too high, without brackets around IPv6, and with brackets around a name", () => {
    for (
      const text of [
        "",
        "127.0.0.1",
        ":2222",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:ssh",
        "::1:2222",
        "[::1]",
        "[localhost]:22",
        "[127.0.0.1]:22",
        "a b:22",
        "127.0.0.1:22 "
      ]
    ) {
      assert.isTrue(Option.isNone(parse(text)), JSON.stringify(text))
    }
  })

  it("is shown as one that can be connected to", () => {
    assert.strictEqual(reachableHost("0.0.0.0"), "127.0.0.1")
    assert.strictEqual(reachableHost("::"), "::1")
    assert.strictEqual(reachableHost("192.0.2.7"), "192.0.2.7")
  })

  it("knows the loopback from the rest", () => {
    for (const host of ["127.0.0.1", "127.8.8.8", "::1", "localhost"]) assert.isTrue(isLoopback(host), host)
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org"]) assert.isFalse(isLoopback(host), host)
  })
})
