/** The node as kubectl describes, closes and empties it, and what it starts beside a pod there. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, startWebPod, tidy } from "./support/Kubectl.ts"

describe.skipIf(!hasKubectl)("kubectl, where it is in PATH,", () => {
  layer(Kubectl.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("starts a pod of two containers", () => startWebPod)

    it.effect("describes the node, its lease and its pods", () =>
      Effect.gen(function*() {
        const { says } = yield* Kubectl
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

    it.effect("shows a node's roles from its labels", () =>
      Effect.gen(function*() {
        const { says } = yield* Kubectl
        yield* says(
          "label node minicluster node-role.kubernetes.io/worker= node-role.kubernetes.io/build=x",
          "node/minicluster labeled"
        )
        yield* says("get node", ["NAME  STATUS  ROLES  AGE  VERSION", "minicluster  Ready  build,worker  Ns  v1.32.0"])
        yield* says("describe node", /^Roles: +build,worker$/m)
      }))

    it.effect("keeps pods from a cordoned node, and drains it", () =>
      Effect.gen(function*() {
        const { run, says } = yield* Kubectl
        yield* Effect.addFinalizer(() => run("uncordon minicluster"))
        yield* says("cordon minicluster", "node/minicluster cordoned")
        yield* says("cordon minicluster", "node/minicluster already cordoned")
        yield* says("get nodes", /^minicluster +Ready,SchedulingDisabled /m)
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
