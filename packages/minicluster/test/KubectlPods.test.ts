/** Pods as kubectl starts, shows, changes and ends them. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, tidy, together, webPod } from "./support/Kubectl.ts"

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

    it.effect("describes a pod", () =>
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
  })
})
