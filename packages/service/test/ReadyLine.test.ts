import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { execFileSync } from "node:child_process"
import { kubectlLine, readyLine, typedPath } from "../src/ReadyLine.ts"
import { shellWord } from "../src/ShellWord.ts"

const loopback = { host: "127.0.0.1", port: 2222 }

describe("the two lines", () => {
  it("have the form that the README promises", () => {
    assert.strictEqual(
      readyLine(loopback, { _tag: "ClientKey", path: ".kuberun/client_key" }),
      "ready: ssh -i .kuberun/client_key -p 2222 demo@127.0.0.1"
    )
    assert.strictEqual(
      kubectlLine({ kubeconfig: ".kuberun/kubeconfig", namespace: "default" }),
      "kubectl: KUBECONFIG=.kuberun/kubeconfig kubectl get pods -w"
    )
  })

  it("leave the key away when the reader has one of their own, or a password", () => {
    assert.strictEqual(readyLine(loopback, { _tag: "Own" }), "ready: ssh -p 2222 demo@127.0.0.1")
  })

  it("name a host that can be connected to, IPv6 without brackets as ssh wants it", () => {
    assert.strictEqual(readyLine({ host: "::", port: 1 }, { _tag: "Own" }), "ready: ssh -p 1 demo@::1")
    assert.strictEqual(readyLine({ host: "0.0.0.0", port: 1 }, { _tag: "Own" }), "ready: ssh -p 1 demo@127.0.0.1")
  })

  it("quote what a shell would take apart", () => {
    assert.strictEqual(
      readyLine(loopback, { _tag: "ClientKey", path: "/my folder/.kuberun/client_key" }),
      "ready: ssh -i '/my folder/.kuberun/client_key' -p 2222 demo@127.0.0.1"
    )
    assert.strictEqual(
      kubectlLine({ kubeconfig: "/it's/config", context: "a b", namespace: "guests" }),
      `kubectl: KUBECONFIG='/it'\\''s/config' kubectl --context 'a b' -n guests get pods -w`
    )
  })

  it("leave KUBECONFIG away when kubectl finds it by itself", () => {
    assert.strictEqual(kubectlLine({ namespace: "default" }), "kubectl: kubectl get pods -w")
  })

  it.effect.prop("a word means itself to a real shell", {
    text: Schema.String.check(Schema.isPattern(/^[^\u0000\ud800-\udfff]{0,30}$/u))
  }, ({ text }) =>
    Effect.sync(() => {
      const said = execFileSync("/bin/sh", ["-c", `printf %s. ${shellWord(text)}`], { encoding: "utf8" })
      assert.strictEqual(said, `${text}.`)
    }), { arbitrary: { runs: 60 } })

  it("paths are relative inside of the working folder, absolute outside", () => {
    assert.strictEqual(typedPath("/home/a", "/home/a/.kuberun/client_key"), ".kuberun/client_key")
    assert.strictEqual(typedPath("/", "/.kuberun/client_key"), ".kuberun/client_key")
    assert.strictEqual(typedPath("/home/a", "/home/ab/client_key"), "/home/ab/client_key")
  })
})
