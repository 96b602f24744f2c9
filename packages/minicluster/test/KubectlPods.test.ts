/** Pods as kubectl starts, shows, changes and ends them. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, tidy, together, webPod } from "./support/Kubectl.ts"

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
    it.effect("shows a pod in each of its forms", () =>
      Effect.gen(function*() {
        const { says, write } = yield* Kubectl
        write("web.json", webPod("web"))
        yield* says("create -f web.json --dry-run=client", "pod/web created (dry run)")
        yield* says("create -f web.json --dry-run=server -o jsonpath={.spec.restartPolicy}", "Always")
        yield* says("apply -f web.json", "pod/web created")
        yield* says("wait --for=condition=Ready pod/web --timeout=30s", "pod/web condition met")
        yield* says("apply -f web.json", "pod/web unchanged")
        const header = "NAME  READY  STATUS  RESTARTS  AGE"
        yield* together(
          says("get pod web", [header, "web  2/2  Running  0  Ns"]),
          says("get pods -o wide", [
            `${header}  IP  NODE  NOMINATED NODE  READINESS GATES`,
            "web  2/2  Running  0  Ns  127.0.0.1  minicluster  <none>  <none>"
          ]),
          says("get po -A", [`NAMESPACE  ${header}`, "default  web  2/2  Running  0  Ns"]),
          says("get all --no-headers --show-labels", "web  2/2  Running  0  Ns  app=web"),
          says("get pod/web node/minicluster", [
            header,
            "pod/web  2/2  Running  0  Ns",
            "",
            "NAME  STATUS  ROLES  AGE  VERSION",
            "node/minicluster  Ready  <none>  Ns  v1.32.0"
          ]),
          says("get pods --field-selector=status.phase=Running,spec.nodeName=minicluster -o name", "pod/web"),
          says("get pods --field-selector=status.phase!=Running -o name", ""),
          says("get pods --sort-by=.status.startTime -o name", "pod/web"),
          says(
            "get pod web -o jsonpath='{.spec.containers[*].image} {.status.qosClass}'",
            "busybox:1.36 busybox:1.36 Burstable"
          ),
          says("get pod web -o custom-columns=NAME:.metadata.name,PORT:.spec.containers[*].ports[*].containerPort", [
            "NAME  PORT",
            "web  8080"
          ]),
          says(
            `get pod web -o go-template='{{range .status.containerStatuses}}{{.name}} {{.ready}};{{end}}'`,
            "main true;side true;"
          ),
          says(
            "get pod web -o yaml",
            /^apiVersion: v1\nkind: Pod\nmetadata:\n[^]*\n  serviceAccountName: default\n[^]*\n  phase: Running\n/
          ),
          says("get pod web -o json", /^\{\n    "apiVersion": "v1",\n    "kind": "Pod",\n/)
        )
      }))

    it.effect("describes a pod and its node", () =>
      Effect.gen(function*() {
        const { says } = yield* Kubectl
        const text = tidy(yield* says("describe pod web", /^Name: +web\n/))
        for (
          const part of [
            "Namespace:  default\nPriority:  0\nService Account:  default\nNode:  minicluster/127.0.0.1\nStart Time:  ",
            "\nLabels:  app=web\nAnnotations:  <none>\nStatus:  Running\nIP:  127.0.0.1\nIPs:\n  IP:  127.0.0.1\nContainers:\n  main:\n    Container ID:  containerd://",
            "\n    Port:  8080/TCP\n    Host Port:  0/TCP\n    Command:\n      sh\n      -c\n",
            "\n    State:  Running\n      Started:  ",
            "\n    Ready:  True\n    Restart Count:  0\n    Requests:\n      cpu:  10m\n      memory:  16Mi\n    Environment:\n      GREETING:  hi\n    Mounts:\n      /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-",
            "\nConditions:\n  Type  Status\n  PodReadyToStartContainers  True\n  Initialized  True\n  Ready  True\n  ContainersReady  True\n  PodScheduled  True\n",
            "    Type:  Projected (a volume that contains injected data from multiple sources)\n    TokenExpirationSeconds:  3607\n    ConfigMapName:  kube-root-ca.crt\n",
            "\nQoS Class:  Burstable\nNode-Selectors:  <none>\nTolerations:  node.kubernetes.io/not-ready:NoExecute op=Exists for Ns\n",
            "\nEvents:\n  Type  Reason  Age  From  Message\n  ----  ------  ----  ----  -------\n  Normal  Scheduled  Ns"
          ]
        ) assert.include(text, part)
        const renewed =
          /^Lease:\n {2}HolderIdentity: +minicluster\n {2}AcquireTime: +<unset>\n {2}RenewTime: +\w{3}, \d/m
        yield* says("describe node minicluster", renewed)
        yield* says("get lease -n kube-node-lease", ["NAME  HOLDER  AGE", "minicluster  minicluster  Ns"])
        const node = tidy(yield* says("describe node minicluster", /^Name: +minicluster\n/))
        for (
          const part of [
            "\nRoles:  <none>\nLabels:  ",
            "kubernetes.io/hostname=minicluster\n",
            "\nTaints:  <none>\nUnschedulable:  false\n",
            "  Ready  True  ",
            "\nAddresses:\n  InternalIP:  127.0.0.1\n  Hostname:  minicluster\nCapacity:\n  cpu:  ",
            "\n  Kubelet Version:  v1.32.0\n",
            "  default  web  10m (0%)  0 (0%)  16Mi (0%)  0 (0%)  Ns\n"
          ]
        ) assert.include(node, part)
      }))

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

    it.effect("labels, annotates and patches a pod in each type, and its status", () =>
      Effect.gen(function*() {
        const { says, write } = yield* Kubectl
        yield* together(
          says("label pod web tier=front", "pod/web labeled"),
          says("annotate pod web note=one", "pod/web annotated")
        )
        yield* says("get pods -l tier=front,app -o name", "pod/web")
        yield* says(
          `patch pod web -p '{"spec":{"containers":[{"name":"side","image":"busybox:2"}]}}'`,
          "pod/web patched"
        )
        yield* says("get pod web -o jsonpath={.spec.containers[*].image}", "busybox:1.36 busybox:2")
        yield* says("set image pod/web side=busybox:1.36", "pod/web image updated")
        yield* says(`patch pod web --type=merge -p '{"metadata":{"labels":{"tier":null}}}'`, "pod/web patched")
        yield* says(
          `patch pod web --type=json -p '[{"op":"add","path":"/metadata/annotations/more","value":"two"}]'`,
          "pod/web patched"
        )
        const condition = { type: "example.com/Ready", status: "True" }
        write("status.json", { status: { conditions: [condition] } })
        yield* says("patch pod web --subresource=status --patch-file=status.json", "pod/web patched")
        yield* says("wait --for=condition=example.com/Ready pod/web --timeout=10s", "pod/web condition met")
        yield* says("wait --for=condition=Ready pod/web --timeout=30s", "pod/web condition met")
        yield* says(
          "get pod web --subresource=status -o jsonpath='{.metadata.labels} {.metadata.annotations.note}{.metadata.annotations.more}'",
          `{"app":"web"} onetwo`
        )
      }))

    it.effect("starts a pod by run, and watches it from its start to its end", () =>
      Effect.gen(function*() {
        const { fails, follow, run, says } = yield* Kubectl
        yield* says("run a --image=busybox --dry-run=client -o name", "pod/a")
        yield* says("run a --image=busybox --env=A=b --labels=x=y,run=a --port=80 --dry-run=client -o yaml", [
          "apiVersion: v1",
          "kind: Pod",
          "metadata:",
          "  creationTimestamp: null",
          "  labels:",
          "    run: a",
          "    x: \"y\"",
          "  name: a",
          "spec:",
          "  containers:",
          "  - env:",
          "    - name: A",
          "      value: b",
          "    image: busybox",
          "    name: a",
          "    ports:",
          "    - containerPort: 80",
          "    resources: {}",
          "  dnsPolicy: ClusterFirst",
          "  restartPolicy: Always",
          "status: {}"
        ])
        yield* says(
          "run a --image=busybox --dry-run=server -o jsonpath='{.spec.containers[0].imagePullPolicy} {.status.phase}'",
          "Always Pending"
        )
        const only = yield* follow("get pods --watch-only --no-headers -l run=a")
        const names = yield* follow("get pods -w -o name -l run=a")
        const told = yield* follow("events -w --for pod/a")
        const phases = yield* follow(
          "get pods -w --output-watch-events -o jsonpath='{.type} {.object.status.phase};' -l run=a"
        )
        // Each is there once it is told of a pod that comes before the one that matters.
        yield* says("run early --image=busybox -l run=a", "pod/early created")
        for (const watching of [only, names, phases]) yield* watching.until(/early|Running/)
        yield* says("run a --image=busybox", "pod/a created")
        yield* only.until(/^a +1\/1 +Running +0 +\d+s$/m)
        yield* says("delete pod a --now", `pod "a" deleted`)
        yield* only.until(
          /^a +0\/1 +Pending[^]*^a +0\/1 +ContainerCreating[^]*^a +1\/1 +Running[^]*^a +1\/1 +Terminating/m
        )
        yield* told.until(
          /Normal +Scheduled +Pod\/a +[^]*Normal +Started +Pod\/a [^]*Normal +Killing +Pod\/a +Stopping container a/
        )
        yield* names.until(/pod\/a\n/)
        yield* phases.until(/ADDED Pending;[^]*MODIFIED Running;[^]*DELETED /)
        yield* run("delete pod early --now")
        yield* says("run once --image=busybox --restart=Never -- sh -c 'echo $0; exit 4' named", "pod/once created")
        yield* says("wait --for=jsonpath={.status.phase}=Failed pod/once --timeout=30s", "pod/once condition met")
        yield* says("logs once", "named")
        yield* fails(
          "wait --for=condition=Ready pod/once --timeout=100ms",
          "error: timed out waiting for the condition on pods/once"
        )
        yield* says("delete pod once", `pod "once" deleted`)
      }))

    it.effect("deletes pods with every grace", () =>
      Effect.gen(function*() {
        const { fails, run, says, write } = yield* Kubectl
        const names = ["now", "forced", "graceful", "labelled", "filed", "left", "right"]
        yield* together(...names.map((name) => run(`run ${name} --image=busybox -l name=${name}`)))
        yield* says(
          `wait --for=condition=Ready --timeout=30s ${names.map((name) => `pod/${name}`).join(" ")}`,
          names.map((name) => `pod/${name} condition met`)
        )
        write("filed.json", webPod("filed"))
        const forced = yield* run("delete pod forced --grace-period=0 --force")
        assert.deepStrictEqual(forced, {
          code: 0,
          out: `pod "forced" force deleted\n`,
          err:
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n"
        })
        yield* together(
          says("delete pod now --now", `pod "now" deleted`),
          says("delete pod graceful --grace-period=1", `pod "graceful" deleted`),
          says("delete pod -l name=labelled", `pod "labelled" deleted`),
          says("delete -f filed.json", `pod "filed" deleted`),
          says("delete pod/left pod/right --wait=false", [`pod "left" deleted`, `pod "right" deleted`])
        )
        yield* fails("delete pod now", `Error from server (NotFound): pods "now" not found`)
        yield* run("run first --image=busybox -n kube-system")
        yield* run("run second --image=busybox -n kube-system")
        yield* says("delete pods --all -n kube-system --now", [`pod "first" deleted`, `pod "second" deleted`])
        const none = yield* run("delete pods --all -n kube-system")
        assert.deepStrictEqual(none, { code: 0, out: "No resources found\n", err: "" })
      }))

    it.effect("keeps pods from a cordoned node, and drains it", () =>
      Effect.gen(function*() {
        const { run, says } = yield* Kubectl
        yield* Effect.addFinalizer(() => run("uncordon minicluster"))
        yield* says("cordon minicluster", "node/minicluster cordoned")
        yield* says("cordon minicluster", "node/minicluster already cordoned")
        yield* says("get nodes", /^minicluster +Ready,SchedulingDisabled +<none> /m)
        yield* says("run waits --image=busybox", "pod/waits created")
        yield* says(
          "wait --for=jsonpath='{.status.conditions[?(@.type==\"PodScheduled\")].reason}'=Unschedulable pod/waits --timeout=30s",
          "pod/waits condition met"
        )
        yield* says(
          "events --for pod/waits",
          /Warning +FailedScheduling +Pod\/waits +0\/1 nodes are available: 1 node\(s\) were unschedulable\. preemption: 0\/1 nodes are available: 1 Preemption is not helpful for scheduling\.\n/
        )
        yield* says("get pod waits -o wide --no-headers", "waits  0/1  Pending  0  Ns  <none>  <none>  <none>  <none>")
        yield* says("uncordon minicluster", "node/minicluster uncordoned")
        yield* says("wait --for=condition=Ready pod/waits --timeout=30s", "pod/waits condition met")
        yield* says("taint nodes minicluster a=b:NoSchedule", "node/minicluster tainted")
        yield* says("describe node minicluster", /^Taints: +a=b:NoSchedule$/m)
        yield* says("taint nodes minicluster a-", "node/minicluster untainted")
        const drained = yield* run("drain minicluster --force --grace-period=1 --pod-selector=run=waits")
        assert.strictEqual(drained.code, 0, drained.err)
        assert.match(
          drained.out,
          /^node\/minicluster cordoned\nevicting pod default\/waits\npod\/waits evicted\nnode\/minicluster drained\n$/
        )
        yield* says("uncordon minicluster", "node/minicluster uncordoned")
      }))

    it.effect("debugs a pod beside its processes, by a copy, and by a pod on the node", () =>
      Effect.gen(function*() {
        const { run, says } = yield* Kubectl
        const target = "debug web --profile=general --image=busybox --target=main"
        yield* run(`${target} -c look -- sh -c 'echo $(tr "\\0" " " </proc/1/cmdline)'`)
        yield* says(
          "wait --for=jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.reason}=Completed pod/web --timeout=30s",
          "pod/web condition met"
        )
        yield* says("logs web -c look", /sh -c trap 'exit 0' TERM; echo hello;/)
        yield* says(
          "describe pod web",
          /^Ephemeral Containers:\n  look:\n[^]*State: +Terminated\n +Reason: +Completed\n +Exit Code: +0\n/m
        )
        yield* says(
          "get pod web -o jsonpath='{.spec.ephemeralContainers[*].name} {.spec.ephemeralContainers[0].targetContainerName}'",
          "look main"
        )
        const asked = yield* run(`${target} -i -q -c answer -- sh -c 'read line; echo got $line'`, { input: "this\n" })
        assert.include(asked.out, "got this\n")
        yield* run("debug web --profile=general --image=busybox --copy-to=copy --container=extra -- sleep 60")
        yield* says("wait --for=condition=Ready pod/copy --timeout=30s", "pod/copy condition met")
        yield* says("get pod copy -o jsonpath={.spec.containers[*].name}", "main side extra")
        const node = yield* run("debug node/minicluster --profile=general --image=busybox -- true")
        assert.match(
          node.out + node.err,
          /Creating debugging pod node-debugger-minicluster-\w{5} with container debugger on node minicluster\.\n/
        )
        yield* says("delete pod copy --now", `pod "copy" deleted`)
      }))
  })
})
