import { assert, describe, it } from "@effect/vitest"
import { createHmac, randomBytes } from "node:crypto"
import { knowsAnotherKey } from "../src/KnownHosts.ts"

const address = { host: "127.0.0.1", port: 2222 }
const mine = "ssh-ed25519 AAAAmine kuberun host key"

const hashed = (name: string): string => {
  const salt = randomBytes(20)
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`
}

describe("a stale entry of known_hosts", () => {
  it("is found in plain and in hashed form", () => {
    for (const name of ["[127.0.0.1]:2222", "[localhost]:2222,[127.0.0.1]:2222", hashed("[127.0.0.1]:2222")]) {
      assert.isTrue(knowsAnotherKey(`# mine\n${name} ssh-ed25519 AAAAother old\n`, address, mine), name)
    }
  })

  it("is none when the key is known, of another type, or of another address", () => {
    for (
      const line of [
        "",
        "[127.0.0.1]:2222 ssh-ed25519 AAAAmine",
        "[127.0.0.1]:2222 ssh-ed25519 AAAAother\n[127.0.0.1]:2222 ssh-ed25519 AAAAmine",
        "[127.0.0.1]:2222 ssh-rsa AAAAother",
        "[127.0.0.1]:2223 ssh-ed25519 AAAAother",
        "127.0.0.1 ssh-ed25519 AAAAother",
        `${hashed("[127.0.0.1]:2223")} ssh-ed25519 AAAAother`
      ]
    ) {
      assert.isFalse(knowsAnotherKey(line, address, mine), line)
    }
  })

  it("knows the standard port's spelling", () => {
    assert.isTrue(knowsAnotherKey("127.0.0.1 ssh-ed25519 AAAAother", { ...address, port: 22 }, mine))
  })
})
