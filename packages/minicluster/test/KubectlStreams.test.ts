/** exec, attach, cp and port-forward as kubectl does them, over WebSocket and over its fallback, SPDY. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { hasKubectl, Kubectl, together, webPod } from "./support/Kubectl.ts"

/** Both ways that kubectl knows: the second is what it falls back to where a proxy lets no WebSocket through. */
const transports: ReadonlyArray<readonly [name: string, environment: Readonly<Record<string, string>>]> = [
  ["WebSocket", {}],
  ["SPDY", { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false", KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" }]
]

const megabyte = 1024 * 1024

/** Bytes that are not the same twice, and no work to make. */
const noise = function*(megabytes: number) {
  const block = Buffer.allocUnsafe(megabyte)
  for (let at = 0; at < megabyte; at += 4) block.writeUInt32LE(Math.imul(at + 1, 2_654_435_761) >>> 0, at)
  for (let number = 0; number < megabytes; number++) {
    const next = Buffer.from(block)
    next.writeUInt32LE(number, 0)
    yield next
  }
}

/** Sends as many MiB through `kubectl exec -i … cat`, and compares what comes back by its hash. */
const roundTrip = Effect.fnUntraced(function*(megabytes: number, environment: Readonly<Record<string, string>>) {
  const { start } = yield* Kubectl
  const sent = createHash("sha256")
  const received = createHash("sha256")
  let length = 0
  const code = yield* Effect.callback<number | null>((resume) => {
    const child = start("exec -i web -c main -- cat", environment)
    const source = Readable.from(noise(megabytes))
    source.on("data", (bytes: Buffer) => sent.update(bytes))
    child.stdout.on("data", (bytes: Buffer) => {
      received.update(bytes)
      length += bytes.length
    })
    pipeline(source, child.stdin).catch(() => child.kill())
    child.once("close", (code) => resume(Effect.succeed(code)))
    return Effect.sync(() => child.kill())
  })
  assert.deepStrictEqual([code, length], [0, megabytes * megabyte])
  assert.strictEqual(received.digest("hex"), sent.digest("hex"))
})

const fetchText = (port: string, path: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const call = get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece))
      response.once("end", () => resume(Effect.succeed(text)))
    })
    call.once("error", (error) => resume(Effect.succeed(String(error))))
    return Effect.sync(() => call.destroy())
  })

/** Serves HTTP on the loopback at a free port, which it prints. */
const serverScript = `
  const server = require("node:http").createServer((request, response) => response.end(request.url.repeat(1000)))
  server.listen(0, "127.0.0.1", () => console.log("listening on " + server.address().port))`

const serverPod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "server" },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "main", image: "node", command: [process.execPath, "-e", serverScript] }]
  }
}

describe.skipIf(!hasKubectl)("kubectl, where it is in PATH,", () => {
  layer(Kubectl.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("starts what the others need", () =>
      Effect.gen(function*() {
        const { says, write } = yield* Kubectl
        write("pods.json", { apiVersion: "v1", kind: "List", items: [webPod("web"), serverPod] })
        yield* says("apply -f pods.json", ["pod/web created", "pod/server created"])
        yield* says("wait --for=condition=Ready pod/web pod/server --timeout=30s", [
          "pod/web condition met",
          "pod/server condition met"
        ])
      }))

    for (const [transport, environment] of transports) {
      it.effect(`runs programs in a container by exec over ${transport}`, () =>
        Effect.gen(function*() {
          const { fails, run, says } = yield* Kubectl
          const with_ = { environment }
          const failed = yield* run("exec web -- sh -c 'echo out; echo err >&2; exit 7'", with_)
          assert.deepStrictEqual(failed, {
            code: 7,
            out: "out\n",
            err: `Defaulted container "main" out of: main, side\nerr\ncommand terminated with exit code 7\n`
          })
          yield* together(
            says("exec web -c main -- echo hello", "hello", with_),
            says("exec web -c side -- hostname", "web", with_),
            says("exec pod/web -c main -- sh -c 'echo $GREETING'", "hi", with_),
            says("exec -i web -c main -- cat", "through", { ...with_, input: "through\n" }),
            says("exec -i web -c main -- wc -c", "0", with_),
            says("exec web -c main -- cat", "", with_),
            fails("exec web -c main -- false", "command terminated with exit code 1", 1, with_),
            fails("exec web -c main -- sh -c 'kill -9 $$'", "command terminated with exit code 137", 137, with_),
            fails(
              "exec web -c main -- nosuch",
              /^error: Internal error occurred: [^]*OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in \$PATH: unknown\n$/,
              1,
              with_
            ),
            fails(
              "exec web -c none -- true",
              "Error from server (BadRequest): container none is not valid for pod web",
              1,
              with_
            ),
            fails("exec none -- true", `Error from server (NotFound): pods "none" not found`, 1, with_)
          )
        }))

      it.effect(
        `carries ${transport === "SPDY" ? 64 : 256} MiB through a program and back over ${transport}`,
        () => roundTrip(transport === "SPDY" ? 64 : 256, environment),
        120_000
      )

      it.effect(`copies a file and a folder both ways over ${transport}`, () =>
        Effect.gen(function*() {
          const { home, says } = yield* Kubectl
          const with_ = { environment }
          const folder = join(home, "folder")
          rmSync(folder, { recursive: true, force: true })
          mkdirSync(join(folder, "sub"), { recursive: true })
          const large = Buffer.concat([...noise(3)])
          writeFileSync(join(folder, "large"), large)
          writeFileSync(join(folder, "sub", "small"), "small\n")
          const there = `/tmp/minicluster-${process.pid}-${transport}`
          yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(there, { recursive: true, force: true })))
          yield* says(`cp folder web:${there} -c main`, "", with_)
          yield* says(
            `exec web -c main -- sh -c 'cd ${there}; find . -type f | sort'`,
            ["./large", "./sub/small"],
            with_
          )
          // What tar says of absolute names.
          const tarSays = /^(\S*tar: removing leading [^\n]+\n)?$/i
          yield* says(`cp web:${there} back-${transport} -c main`, tarSays, with_)
          assert.isTrue(readFileSync(join(home, `back-${transport}`, "large")).equals(large))
          assert.strictEqual(readFileSync(join(home, `back-${transport}`, "sub", "small"), "utf8"), "small\n")
          yield* says(`cp folder/large web:${there}/again -c main`, "", with_)
          yield* says(`cp web:${there}/again again-${transport} -c main`, tarSays, with_)
          assert.isTrue(readFileSync(join(home, `again-${transport}`)).equals(large))
        }), 120_000)

      it.effect(`forwards a port for 100 HTTP requests at once over ${transport}`, () =>
        Effect.gen(function*() {
          const { follow, run } = yield* Kubectl
          const remote = /listening on (\d+)/.exec((yield* run("logs server")).out)?.[1] ?? "none"
          const forward = yield* follow(`port-forward pod/server :${remote}`, { environment })
          const port =
            /Forwarding from 127\.0\.0\.1:(\d+) -> \d+\n/.exec(yield* forward.until(/127\.0\.0\.1:\d+ -> \d+\n/))
              ?.[1] ?? ""
          const paths = Array.from({ length: 100 }, (_, index) => `/${index}`)
          const texts = yield* Effect.forEach(paths, (path) => fetchText(port, path), { concurrency: "unbounded" })
          texts.forEach((text, index) =>
            assert.isTrue(text === `/${index}`.repeat(1000), `${index}: ${text.slice(0, 100)}`)
          )
          // It is good for more after one that finds nobody.
          const other = yield* follow("port-forward pod/server :1", { environment })
          const dead = /127\.0\.0\.1:(\d+) -> 1\n/.exec(yield* other.until(/-> 1\n/))?.[1] ?? ""
          assert.match(yield* fetchText(dead, "/"), /socket hang up|ECONNRESET/)
          yield* other.until(
            /an error occurred forwarding \d+ -> 1: error forwarding port 1 to pod [^]*(connection refused|ECONNREFUSED)/
          )
          assert.strictEqual(yield* fetchText(port, "/x"), "/x".repeat(1000))
        }))

      it.effect(`attaches to what a container says and hears over ${transport}`, () =>
        Effect.gen(function*() {
          const { follow, run, says, write } = yield* Kubectl
          const name = `echo-${transport.toLowerCase()}`
          const script = "while read line; do echo heard $line; [ $line = end ] && exit 3; done"
          write("echo.json", {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name },
            spec: {
              restartPolicy: "Never",
              containers: [{ name: "main", image: "busybox", stdin: true, command: ["sh", "-c", script] }]
            }
          })
          yield* says("create -f echo.json", `pod/${name} created`)
          yield* says(`wait --for=condition=Ready pod/${name} --timeout=30s`, `pod/${name} condition met`)
          const attached = yield* follow(`attach -i ${name}`, { environment })
          yield* attached.type("one\n")
          yield* attached.until(/heard one\n/)
          yield* attached.type("end\n")
          assert.include((yield* attached.end).out, "heard one\nheard end\n")
          yield* says(
            `wait --for=jsonpath={.status.phase}=Failed pod/${name} --timeout=30s`,
            `pod/${name} condition met`
          )
          const late = yield* run(`attach ${name}`, { environment })
          assert.deepStrictEqual([late.code, late.err], [
            1,
            "error: cannot attach a container in a completed pod; current phase is Failed\n"
          ])
        }))
    }

    it.effect("exec -it gives a terminal of the user's size that follows it, and Ctrl-C reaches the program", () =>
      Effect.gen(function*() {
        const { inTerminal } = yield* Kubectl
        const shell = yield* inTerminal("exec -it web -c main -- sh -i")
        yield* shell.until(/[#$] $/)
        yield* shell.type("stty size; tty\r")
        yield* shell.until(/30 100\r\n\/dev\/pts\/\d+\r\n/)
        yield* shell.resize({ width: 120, height: 40 })
        yield* shell.type("until stty size | grep '40 120'; do :; done; echo 'it 'came\r")
        yield* shell.until(/40 120\r\nit came\r\n/)
        yield* shell.type("cat\r")
        yield* shell.until(/cat\r\n/)
        yield* shell.type("line\r")
        yield* shell.until(/line\r\nline\r\n/)
        yield* shell.type("\u0003")
        yield* shell.until(/\^C\r?\n?[^\n]*[#$] $/)
        yield* shell.type("exit 5\r")
        assert.strictEqual((yield* shell.end).code, 5)
        const broken = yield* inTerminal("exec -it web -c main -- sh -c 'echo ready; exec cat'")
        yield* broken.until(/ready\r\n/)
        yield* broken.type("\u0003")
        const ended = yield* broken.end
        assert.strictEqual(ended.code, 130)
        assert.match(ended.text, /command terminated with exit code 130\r\n$/)
      }))

    it.effect("attach -it gives the terminal of a container that has one", () =>
      Effect.gen(function*() {
        const { inTerminal, says, write } = yield* Kubectl
        const shell = { name: "main", image: "busybox", stdin: true, tty: true, command: ["sh", "-i"] }
        const spec = { restartPolicy: "Never", containers: [shell] }
        write("shell.json", { apiVersion: "v1", kind: "Pod", metadata: { name: "shell" }, spec })
        yield* says("create -f shell.json", "pod/shell created")
        yield* says("wait --for=condition=Ready pod/shell --timeout=30s", "pod/shell condition met")
        const attached = yield* inTerminal("attach -it shell")
        yield* attached.until(/If you don't see a command prompt, try pressing enter\./)
        yield* attached.type("\r")
        yield* attached.until(/[#$] /)
        yield* attached.type("until stty size | grep '30 100'; do :; done; exit 3\r")
        assert.match((yield* attached.end).text, /30 100\r\n/)
        yield* says(
          "wait --for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=3 pod/shell --timeout=30s",
          "pod/shell condition met"
        )
      }))

    it.effect("debug -it gives a terminal beside the processes of a container", () =>
      Effect.gen(function*() {
        const { inTerminal } = yield* Kubectl
        const debug = "debug -it web --profile=general --image=busybox --target=main --container=look -- sh -i"
        const shell = yield* inTerminal(debug)
        yield* shell.until(/try pressing enter\./)
        yield* shell.type("\r")
        yield* shell.until(/[#$] /)
        yield* shell.type("tr '\\0' ' ' </proc/1/cmdline; exit 0\r")
        const { code, text } = yield* shell.end
        assert.match(text, /sh -c trap 'exit 0' TERM; echo hello;/)
        assert.strictEqual(code, 0)
      }))

    it.effect("proxy opens the API to whoever asks on the loopback", () =>
      Effect.gen(function*() {
        const { follow } = yield* Kubectl
        const proxy = yield* follow("proxy --port=0")
        const said = yield* proxy.until(/Starting to serve on 127\.0\.0\.1:\d+\n/)
        const port = /:(\d+)\n/.exec(said)?.[1] ?? ""
        assert.match(yield* fetchText(port, "/api/v1/namespaces/default/pods/web"), /"name":"web"/)
        assert.match(yield* fetchText(port, "/api/v1/namespaces/default/pods/none"), /"reason":"NotFound"/)
      }))

    it.effect("run -i --rm and run -it --rm start a pod, give its output and its code, and leave nothing", () =>
      Effect.gen(function*() {
        const { inTerminal, run, says } = yield* Kubectl
        const piped = yield* run("run piped -i --rm --image=busybox --restart=Never -- cat", { input: "hello\n" })
        assert.deepStrictEqual([piped.code, piped.out], [0, `hello\npod "piped" deleted\n`])
        const failing = yield* run(
          "run failing -i --rm -q --image=busybox --restart=Never -- sh -c 'read line; exit 4'",
          { input: "x\n" }
        )
        assert.deepStrictEqual([failing.code, failing.err], [4, "pod default/failing terminated (Error)\n"])
        // Its output may be over before anybody attaches: then it is read from the log.
        const quick = yield* run("run quick --attach --rm -q --image=busybox --restart=Never -- echo over")
        assert.include(quick.out, "over\n")
        const shell = yield* inTerminal("run term -it --rm --image=busybox --restart=Never -- sh")
        yield* shell.until(/If you don't see a command prompt, try pressing enter\./)
        yield* shell.type("\r")
        yield* shell.until(/[#$] /)
        yield* shell.type("stty size; exit 6\r")
        const { code, text } = yield* shell.end
        assert.match(text, /30 100\r\n/)
        assert.match(text, /pod "term" deleted\r\n/)
        assert.strictEqual(code, 6)
        yield* says("get pods -l run -o name", "")
      }))

    it.effect("says why a stream cannot be", () =>
      Effect.gen(function*() {
        const { fails, says } = yield* Kubectl
        yield* says("run pulls --image=kuberun.test/missing", "pod/pulls created")
        yield* says("run bare --image=kuberun.test/noshell", "pod/bare created")
        yield* says("wait --for=condition=Ready pod/bare --timeout=30s", "pod/bare condition met")
        yield* says(
          "wait --for=jsonpath={.status.containerStatuses[0].state.waiting.message} pod/pulls --timeout=30s",
          "pod/pulls condition met"
        )
        yield* together(
          fails("exec pulls -- true", /^error: [^]*unable to upgrade connection: container not found \("pulls"\)\n$/),
          fails(
            "logs pulls",
            /^Error from server \(BadRequest\): container "pulls" in pod "pulls" is waiting to start: (image can't be pulled|trying and failing to pull image)\n$/
          ),
          fails(
            "port-forward pod/pulls 1234",
            "error: unable to forward port because pod is not running. Current status=Pending"
          ),
          fails("exec -i bare -- sh", /exec: "sh": executable file not found in \$PATH/),
          fails("port-forward pod/none 1234:80", `Error from server (NotFound): pods "none" not found`),
          fails("port-forward pod/web :nope", "error: Pod 'web' does not have a named port 'nope'"),
          fails("attach none", `Error from server (NotFound): pods "none" not found`),
          fails("cp none:/x y", `Error from server (NotFound): pods "none" not found`),
          fails("cp nowhere web:/tmp/x", "error: nowhere doesn't exist in local filesystem")
        )
      }))
  })
})
