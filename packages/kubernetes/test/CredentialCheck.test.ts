import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { join } from "node:path"
import { type ConnectionSettings, layer } from "../src/index.ts"
import { makeCertificate } from "./Certificate.ts"
import { settings } from "./Settings.ts"

/** What is told before the first call, or undefined. */
const refusal = (changes: Partial<ConnectionSettings>) =>
  Layer.build(layer({ _tag: "Connection", connection: { ...settings, ...changes } })).pipe(
    Effect.match({ onSuccess: () => undefined, onFailure: (error) => error.message }),
    Effect.scoped
  )

const secret = "hunter2"

describe("credentials that nobody could use", () => {
  it.live("are refused at the start, by their key's name and without what they are", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([makeCertificate("one"), makeCertificate("other")])
      const missing = join(import.meta.dirname, "no-such-file")
      for (
        const [changes, expected] of [
          [{ cacert: secret }, "cacert, or certificate-authority, holds no certificate in PEM"],
          [{ cert: secret, key: Redacted.make(one.key) }, "cert, or client-certificate, holds no certificate in PEM"],
          [{ cert: one.certificate, key: Redacted.make(secret) }, "key, or client-key, holds no private key in PEM"],
          [{ cert: one.certificate, key: Redacted.make(other.key) }, "do not belong together"],
          [{ bearerToken: Redacted.make(`${secret}\n`) }, "the token holds a line feed"],
          [{ bearerToken: Redacted.make(`${secret}漢`) }, "the token holds a line feed or another character"],
          [{ cacertFile: import.meta.filename }, "cacert, or certificate-authority, holds no certificate in PEM"],
          [{ bearerTokenFile: missing }, `the file ${missing} does not exist`]
        ] satisfies ReadonlyArray<readonly [Partial<ConnectionSettings>, string]>
      ) {
        const told = yield* refusal(changes)
        assert.include(told, expected)
        assert.notInclude(told, secret)
      }
    }))

  it.live("are no others than those", () =>
    Effect.gen(function*() {
      const one = yield* makeCertificate("one")
      for (
        const changes of [
          {},
          { bearerToken: Redacted.make(secret) },
          { username: "jo", password: Redacted.make("pässword\n") },
          {
            cacert: `# ours\n${one.certificate}\n${one.certificate}`,
            cert: one.certificate,
            key: Redacted.make(one.key)
          }
        ]
      ) assert.isUndefined(yield* refusal(changes))
    }))
})
