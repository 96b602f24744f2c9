import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { accepted, type AuthenticationRequest, rejected, unavailable } from "kuberun"
import ssh2 from "ssh2"
import { generateKey, parsePublicKey } from "../src/index.ts"
import { signedData } from "../src/PublicKey.ts"
import { string, WireReader } from "../src/WireReader.ts"
import * as Client from "./Client.ts"
import { connect, type RawClient } from "./RawClient.ts"
import { eventually, sessions, start } from "./TestServer.ts"

const idle = sessions(() => Effect.never)

const request = (method: string, ...fields: ReadonlyArray<Uint8Array>) =>
  Buffer.concat([Buffer.of(50), string("demo"), string("ssh-connection"), string(method), ...fields])

const password = (text: string) => request("password", Buffer.of(0), string(text))

/** The next answer to a request to log in, by its number. */
const answer = (raw: RawClient) => raw.take((_) => _[0] === 51 || _[0] === 52 || _[0] === 60)
const methodsOf = (failure: Buffer) => new WireReader(failure, 1).text()

/** Not ssh2's, of whose ed25519 keys one in 256 cannot be read. */
const ed25519Pair = () => {
  const { privateKey, publicKey } = Effect.runSync(generateKey("test"))
  return { private: Redacted.value(privateKey), public: publicKey }
}

const keyPairs = {
  "ssh-ed25519": ed25519Pair(),
  "ecdsa-sha2-nistp256": ssh2.utils.generateKeyPairSync("ecdsa", { bits: 256 }),
  "ecdsa-sha2-nistp384": ssh2.utils.generateKeyPairSync("ecdsa", { bits: 384 }),
  "ecdsa-sha2-nistp521": ssh2.utils.generateKeyPairSync("ecdsa", { bits: 521 }),
  "rsa-sha2-256": ssh2.utils.generateKeyPairSync("rsa", { bits: 2048 })
}

const wireKey = (line: string) => Buffer.from(Option.getOrThrow(parsePublicKey(line)).key)

describe("authentication", () => {
  for (const [algorithm, pair] of Object.entries(keyPairs)) {
    it.live(`by public key asks for the key and then for a login proved by it: ${algorithm}`, () =>
      Effect.gen(function*() {
        const asked: Array<AuthenticationRequest> = []
        const server = yield* start(idle, {
          authenticate: (request) =>
            Effect.sync(() => {
              asked.push(request)
              return request._tag === "PublicKey" ? accepted : rejected
            })
        })
        yield* Effect.scoped(
          Client.connect(server.port, { privateKey: pair.private, authHandler: ["none", "publickey"] })
        )
        const tried = asked.filter((_) => _._tag === "PublicKey")
        assert.isTrue(tried.some((_) => _.signed), "no signed login was asked about")
        for (const login of tried) {
          assert.isTrue(wireKey(pair.public).equals(login.key))
          assert.strictEqual(login.username, "demo")
          assert.strictEqual(login.remoteAddress, "127.0.0.1")
        }
      }))
  }

  it.live("refuses a signature that is another's, of other data, of another algorithm, or SHA-1, without asking", () =>
    Effect.gen(function*() {
      let signed = 0
      const server = yield* start(idle, {
        limits: { maxAuthTries: 100 },
        authenticate: (request) =>
          Effect.sync(() => {
            if (request._tag === "PublicKey" && request.signed) signed += 1
            return request._tag === "None" ? rejected : accepted
          })
      })
      const raw = yield* connect(server.port, { login: "manual" })
      const attempt = (options: {
        algorithm: string
        key: Buffer
        signature: (data: Buffer) => Buffer
        signatureAlgorithm?: string
        session?: Uint8Array
      }) =>
        Effect.gen(function*() {
          const head = request("publickey", Buffer.of(1), string(options.algorithm), string(options.key))
          const data = signedData(options.session ?? raw.sessionId(), head)
          const inner = Buffer.concat([
            string(options.signatureAlgorithm ?? options.algorithm),
            string(options.signature(data))
          ])
          raw.send(head, string(inner))
          return (yield* answer(raw))[0]
        })
      const ed25519 = keyPairs["ssh-ed25519"]
      const parsed = (text: string) => {
        const key = ssh2.utils.parseKey(text)
        if (key instanceof Error) throw key
        return key
      }
      const signWith = (pem: string, algorithm?: "sha1" | "sha256") => (data: Buffer): Buffer =>
        parsed(pem).sign(data, algorithm)
      const good = { algorithm: "ssh-ed25519", key: wireKey(ed25519.public), signature: signWith(ed25519.private) }
      const other = ed25519Pair()
      assert.strictEqual(yield* attempt({ ...good, signature: signWith(other.private) }), 51)
      assert.strictEqual(yield* attempt({ ...good, signature: () => Buffer.alloc(64) }), 51)
      assert.strictEqual(yield* attempt({ ...good, signature: () => Buffer.alloc(0) }), 51)
      assert.strictEqual(yield* attempt({ ...good, session: Buffer.alloc(32) }), 51)
      assert.strictEqual(yield* attempt({ ...good, signatureAlgorithm: "ssh-rsa" }), 51)
      assert.strictEqual(yield* attempt({ ...good, algorithm: "ecdsa-sha2-nistp256" }), 51)
      assert.strictEqual(yield* attempt({ ...good, key: Buffer.from("junk") }), 51)
      const rsa = keyPairs["rsa-sha2-256"]
      const sha1 = { algorithm: "ssh-rsa", key: wireKey(rsa.public), signature: signWith(rsa.private, "sha1") }
      assert.strictEqual(yield* attempt(sha1), 51)
      assert.strictEqual(signed, 0)
      assert.strictEqual(yield* attempt(good), 52)
      assert.strictEqual(signed, 1)
    }))

  it.live("answers a method that it does not know with those that it does", () =>
    Effect.gen(function*() {
      const server = yield* start(idle)
      const raw = yield* connect(server.port, { login: "manual" })
      for (const method of ["gssapi-with-mic", "keyboard-interactive", "hostbased", "none"]) {
        raw.send(request(method, Buffer.alloc(40)))
        const failure = yield* answer(raw)
        assert.strictEqual(failure[0], 51)
        assert.strictEqual(methodsOf(failure), "publickey,password")
      }
      raw.send(password("secret"))
      assert.strictEqual((yield* answer(raw))[0], 52)
    }))

  it.live("answers requests that come together in their order, and the rest after the success not at all", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const server = yield* start(idle, {
        authenticate: (request) =>
          Effect.gen(function*() {
            yield* Effect.yieldNow
            const text = request._tag === "Password" ? Redacted.value(request.password) : ""
            asked.push(text)
            return text === "third" ? accepted : rejected
          })
      })
      const raw = yield* connect(server.port, { login: "manual" })
      for (const text of ["first", "second", "third", "fourth"]) raw.send(password(text))
      yield* eventually(() => raw.messages.some((_) => _[0] === 52))
      yield* raw.handled
      assert.deepStrictEqual(asked, ["first", "second", "third"])
      assert.deepStrictEqual(raw.messages.filter((_) => _[0] === 51 || _[0] === 52).map((_) => _[0]), [51, 51, 52])
    }))

  it.live("refuses to change a password, and does not take the old one for a login", () =>
    Effect.gen(function*() {
      const server = yield* start(idle)
      const raw = yield* connect(server.port, { login: "manual" })
      raw.send(request("password", Buffer.of(1), string("secret"), string("new")))
      assert.strictEqual((yield* answer(raw))[0], 51)
    }))

  it.live("ends when the username changes, or too many requests come at once", () =>
    Effect.gen(function*() {
      const server = yield* start(idle, { limits: { maxAuthTries: 1000 } })
      const first = yield* connect(server.port, { login: "manual" })
      first.send(password("wrong"))
      first.send(Buffer.of(50), string("root"), string("ssh-connection"), string("none"))
      yield* eventually(first.isClosed)
      assert.include(first.disconnectText(), "username may not change")
      const stuck = yield* start(idle, { authenticate: () => Effect.never })
      const second = yield* connect(stuck.port, { login: "manual" })
      for (let index = 0; index < 40; index++) second.send(password("x"))
      yield* eventually(second.isClosed)
      assert.include(second.disconnectText(), "too many requests")
    }))

  it.live("counts every none but the first as a failed try", () =>
    Effect.gen(function*() {
      const server = yield* start(idle, { limits: { maxAuthTries: 2 } })
      const raw = yield* connect(server.port, { login: "manual" })
      for (let tries = 0; tries < 4; tries++) raw.send(request("none"))
      yield* eventually(() => raw.isClosed() || raw.messages.filter((_) => _[0] === 51).length === 4)
      assert.strictEqual(raw.messages.filter((_) => _[0] === 51).length, 2)
      assert.strictEqual(raw.disconnectText(), "Too many authentication failures")
    }))

  it.live("takes a crash of the authenticator, and its absence, for a refusal and logs why", () =>
    Effect.gen(function*() {
      const server = yield* start(idle, {
        authenticate: (request) =>
          request._tag === "None" ? Effect.die(new Error("no directory")) : Effect.succeed(unavailable)
      })
      const raw = yield* connect(server.port, { login: "manual" })
      raw.send(request("none"))
      assert.strictEqual((yield* answer(raw))[0], 51)
      raw.send(password("secret"))
      assert.strictEqual((yield* answer(raw))[0], 51)
      const log = server.log.join("\n")
      assert.include(log, "no directory")
      assert.include(log, "the backend handler does not support authentication")
      assert.notInclude(log, "secret")
      assert.isFalse(raw.isClosed())
    }))
})

describe("a public key line", () => {
  it("is parsed to wire bytes, with and without a comment", () => {
    const { public: line } = keyPairs["ssh-ed25519"]
    const [algorithm = "", base64 = ""] = line.split(" ")
    const key = Option.getOrThrow(parsePublicKey(`${algorithm} ${base64} me@home, at work\n`))
    assert.strictEqual(key.algorithm, "ssh-ed25519")
    assert.strictEqual(key.comment, "me@home, at work")
    assert.strictEqual(Buffer.from(key.key).toString("base64"), base64)
    assert.isTrue(Option.isSome(parsePublicKey(`${algorithm} ${base64}`)))
  })

  it("is none when it is not a key, or names another algorithm than it holds", () => {
    const [, base64 = ""] = keyPairs["ssh-ed25519"].public.split(" ")
    for (const text of ["", "# comment", "ssh-ed25519", "ssh-ed25519 !!!", `ssh-rsa ${base64}`, "ssh-ed25519 AAAA"]) {
      assert.isTrue(Option.isNone(parsePublicKey(text)), text)
    }
  })

  it.live("lets nobody in by a name that is no UTF-8, which could be taken for another's", () =>
    Effect.gen(function*() {
      const server = yield* start(idle, { authenticate: () => Effect.succeed(accepted) })
      const raw = yield* connect(server.port, { login: "manual" })
      raw.send(Buffer.of(50), string(Buffer.from([0x61, 0xff])), string("ssh-connection"), string("none"))
      yield* eventually(raw.isClosed)
      assert.include(raw.disconnectText(), "malformed authentication request")
    }))
})
