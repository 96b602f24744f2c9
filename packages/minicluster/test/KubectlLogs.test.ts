/** What kubectl is told of a pod: its events and its logs. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, startWebPod, together, webPod } from "./support/Kubectl.ts"

/** What the scheduler and the kubelet tell of a pod of two containers, whose image is there for the second. */
const toldOfWeb = [
  "Successfully assigned default/web to minicluster",
  `Pulling image "busybox:1.36"`,
  /^Successfully pulled image "busybox:1\.36" in \S+ \(\S+ including waiting\)\. Image size: \d+ bytes\.$/,
  "Created container: main",
  "Started container main",
  `Container image "busybox:1.36" already present on machine`,
  "Created container: side",
  "Started container side"
]

describe.skipIf(!hasKubectl)("kubectl, where it is in PATH,", () => {
  layer(Kubectl.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("starts a pod of two containers", () => startWebPod)

    it.effect("tells a pod's events in their order", () =>
      Effect.gen(function*() {
        const { fails, run, says } = yield* Kubectl
        const { out } = yield* run(
          "get events -o jsonpath='{range .items[*]}{.message}{\"\\n\"}{end}' --field-selector=involvedObject.name=web"
        )
        const messages = out.trim().split("\n")
        assert.strictEqual(messages.length, toldOfWeb.length, out)
        toldOfWeb.forEach((message, index) =>
          typeof message === "string"
            ? assert.strictEqual(messages[index], message)
            : assert.match(messages[index] ?? "", message)
        )
        yield* together(
          says(
            "get events",
            /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\d+s +Normal +Scheduled +pod\/web +Successfully assigned default\/web to minicluster\n\d+s +Normal +Pulling +pod\/web +Pulling image "busybox:1.36"\n/
          ),
          says(
            "get events -o wide",
            /^LAST SEEN +TYPE +REASON +OBJECT +SUBOBJECT +SOURCE +MESSAGE +FIRST SEEN +COUNT +NAME\n[^]*spec.containers\{main\} +kubelet, minicluster +Pulling/
          ),
          says(
            "events",
            /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n[^]*Normal +Started +Pod\/web +Started container side\n/
          ),
          says("events --for pod/web --types=Normal --no-headers", /^([^\n]*\bPod\/web\b[^\n]*\n){8}$/),
          fails("events --types=Warning", "No events found in default namespace.", 0)
        )
      }))

    it.effect("reads logs: followed, in part, with times, of one container and of all", () =>
      Effect.gen(function*() {
        const { fails, follow, run, says, write } = yield* Kubectl
        const chosen = `Defaulted container "main" out of: main, side\n`
        assert.deepStrictEqual(yield* run("logs web"), { code: 0, out: "hello\n", err: chosen })
        write(
          "count.json",
          webPod("count", {}, {
            restartPolicy: "Never",
            containers: [{
              name: "main",
              image: "busybox",
              command: ["sh", "-c", "seq 3; read line; echo $line; exit 3"],
              stdin: true
            }]
          })
        )
        yield* says("create -f count.json", "pod/count created")
        yield* together(
          says("logs web -c side", "from the side"),
          // kubectl reads its containers in no order.
          says(
            "logs web --all-containers --prefix",
            /^(\[pod\/web\/main\] hello\n|\[pod\/web\/side\] from the side\n){2}$/
          ),
          says("logs -l app=web --all-containers --tail=-1", /^(hello\nfrom the side|from the side\nhello)\n$/),
          says("logs web -c main --timestamps", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z hello\n$/),
          says("logs web -c main --since=1h", "hello"),
          says("logs web -c main --since-time=2001-01-01T00:00:00Z", "hello"),
          says("logs web -c main --limit-bytes=3", "hel"),
          fails("logs web -c none", "error: container none is not valid for pod web"),
          fails(
            "logs web -c main --previous",
            `Error from server (BadRequest): previous terminated container "main" in pod "web" not found`
          ),
          fails("logs none", /pods "none" not found/),
          says("wait --for=jsonpath={.status.phase}=Running pod/count --timeout=30s", "pod/count condition met")
        )
        const all = yield* follow("logs -f -l app=web --all-containers --prefix --tail=1")
        yield* all.until(/^(\[pod\/web\/main\] hello\n|\[pod\/web\/side\] from the side\n){2}$/)
        const followed = yield* follow("logs -f count --tail=2")
        yield* followed.until(/^2\n3\n$/)
        yield* says("attach -i -q count", /4\n/, { input: "4\n" })
        assert.deepStrictEqual(yield* followed.end, { code: 0, out: "2\n3\n4\n", err: "" })
        yield* says("get pod count", ["NAME  READY  STATUS  RESTARTS  AGE", "count  0/1  Error  0  Ns"])
        yield* says("get pod count -o jsonpath={.status.containerStatuses[0].state.terminated.exitCode}", "3")
        yield* says("run crash --image=kuberun.test/crash", "pod/crash created")
        yield* says(
          "wait --for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff pod/crash --timeout=30s",
          "pod/crash condition met"
        )
        yield* says("logs crash --previous", "kuberun.test/crash exits with 1")
        yield* says(
          "events --for pod/crash --types=Warning",
          /BackOff +Pod\/crash +Back-off restarting failed container crash in pod crash_default\(/
        )
        yield* says("get pod crash", /^crash +0\/1 +CrashLoopBackOff +1 \(\d+s ago\) +\d+s\n/m)
        yield* says("delete pod count crash --now", [`pod "count" deleted`, `pod "crash" deleted`])
      }))
  })
})
