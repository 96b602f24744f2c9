import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { inFrontOf } from "./support/Serve.ts"

const claim = (name: string) =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name },
    spec: { accessModes: ["ReadWriteMany"], resources: { requests: { storage: "1Gi" } } }
  })

describe("a template with volumes", () => {
  it.live(
    "gives each user a claim by its name, and a folder of one that all share",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* make()
        const service = yield* inFrontOf(cluster, {
          pod: {
            podSpec: {
              containers: [{
                name: "shell",
                image: "busybox",
                volumeMounts: [
                  { name: "home", mountPath: "/home/user" },
                  { name: "shared", mountPath: "/srv/mine", subPath: "users/{{username}}" }
                ]
              }],
              volumes: [
                { name: "home", persistentVolumeClaim: { claimName: "home-of-{{username}}" } },
                { name: "shared", persistentVolumeClaim: { claimName: "shared" } }
              ],
              terminationGracePeriodSeconds: 1
            },
            shellCommand: ["/bin/sh"]
          },
          timeout: "30s"
        })
        for (const name of ["home-of-alice", "home-of-bob", "shared"]) {
          assert.strictEqual((yield* service.run(`echo '${claim(name)}' | kubectl apply -f -`)).code, 0)
        }
        const as = (user: string, command: string) =>
          Effect.map(
            service.run(`ssh $SSH_OPTIONS ${user}@127.0.0.1 '${command}'`),
            ({ err, out }) => err === "" ? out : err
          )
        assert.strictEqual(yield* as("alice", "echo hers > /home/user/note; echo her folder > /srv/mine/note"), "")
        assert.strictEqual(yield* as("bob", "cd /home/user && ls; cd /srv/mine && ls"), "")
        assert.strictEqual(yield* as("alice", "cat /home/user/note /srv/mine/note"), "hers\nher folder\n")
        yield* service.podsGone
      })),
    60_000
  )
})

describe("a template with several containers", () => {
  for (
    const [how, keys] of [
      ["number", { consoleContainerNumber: 1 }],
      ["name", { consoleContainer: "desk" }]
    ] as const
  ) {
    it.live(
      `runs programs in the one that is chosen by ${how}, beside the others`,
      () =>
        Effect.scoped(Effect.gen(function*() {
          const cluster = yield* make()
          const shared = { volumeMounts: [{ name: "shared", mountPath: "/shared" }] }
          const service = yield* inFrontOf(cluster, {
            pod: {
              ...keys,
              podSpec: {
                initContainers: [
                  { name: "one", image: "busybox", command: ["sh", "-c", "echo one >> /shared/log"], ...shared },
                  { name: "two", image: "busybox", command: ["sh", "-c", "echo two >> /shared/log"], ...shared }
                ],
                containers: [
                  {
                    name: "proxy",
                    image: "busybox",
                    command: ["sh", "-c", "echo proxy > /shared/proxy; exec sleep 1000"],
                    ...shared
                  },
                  { name: "desk", image: "busybox", env: [{ name: "WHERE", value: "at the desk" }], ...shared }
                ],
                volumes: [{ name: "shared", emptyDir: {} }],
                terminationGracePeriodSeconds: 1
              },
              shellCommand: ["/bin/sh"]
            }
          })
          const ran = yield* service.run(
            "$SSH 'echo $WHERE; until [ -s /shared/proxy ]; do sleep 0.1; done; cat /shared/log /shared/proxy; exit 3'"
          )
          assert.deepStrictEqual([ran.code, ran.out, ran.err], [3, "at the desk\none\ntwo\nproxy\n", ""])
          yield* service.podsGone
        })),
      60_000
    )
  }
})
