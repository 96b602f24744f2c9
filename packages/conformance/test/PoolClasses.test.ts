import { assert, describe, it } from "@effect/vitest"
import { make } from "@kuberun/minicluster"
import { Effect } from "effect"
import { inFrontOf } from "./support/Serve.ts"
import { eventually, type Service } from "./support/Service.ts"

const template = (colour: string) => ({
  podSpec: {
    containers: [{ name: "shell", image: "busybox", env: [{ name: "COLOUR", value: colour }] }],
    terminationGracePeriodSeconds: 1
  },
  shellCommand: ["/bin/sh"]
})

/** The pods that wait for a class, by name, when there are so many and all are ready. */
const waiting = (service: Service, poolClass: string, count: number) =>
  eventually(
    Effect.map(
      service.run(
        `kubectl get pods -l kuberun.dev/pool=${poolClass} -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\\n"}{end}'`
      ),
      ({ out }) => out.split("\n").filter((name) => name !== "")
    ),
    (names) => names.length === count
  )

const hostname = (service: Service, user: string) =>
  Effect.map(service.run(`ssh $SSH_OPTIONS '${user}@127.0.0.1' 'hostname; echo $COLOUR'`), ({ err, out }) => {
    const [name = "", colour = ""] = out.split("\n")
    return { name, colour, err }
  })

describe("a warm pool with classes of users", () => {
  it.live(
    "gives each user a pod of their class, and waits for none that is still to be made",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* make()
        const service = yield* inFrontOf(cluster, {
          pod: template("red"),
          pool: { size: 1, classes: [{ name: "teachers", users: ["teacher-*", "head"], size: 2 }] }
        })
        const everybodys = yield* waiting(service, "default", 1)
        const teachers = yield* waiting(service, "teachers", 2)
        // From here on no pod can be made: whoever gets one gets one that was there.
        yield* cluster.faults.set({
          rules: [{ verbs: ["create"], resources: ["pods"], subresources: [""], error: { code: 500 } }]
        })
        const first = yield* hostname(service, "teacher-1")
        const second = yield* hostname(service, "head")
        const pupil = yield* hostname(service, "pupil")
        assert.sameMembers([first.name, second.name], [...teachers], first.err + second.err)
        assert.deepStrictEqual([pupil.name], [...everybodys], pupil.err)
        yield* cluster.faults.clear
        assert.lengthOf(yield* waiting(service, "teachers", 2), 2)
        assert.lengthOf(yield* waiting(service, "default", 1), 1)
      })),
    90_000
  )

  it.live(
    "gets other pods when the template changes, and nobody gets one of the old",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cluster = yield* make()
        const before = yield* inFrontOf(cluster, { pod: template("red"), pool: { size: 2 } })
        const old = yield* waiting(before, "default", 2)
        assert.strictEqual((yield* hostname(before, "alice")).colour, "red")
        // As in a rolling update: the new replica comes before the old one goes.
        const after = yield* inFrontOf(cluster, { pod: template("blue"), pool: { size: 2 } })
        const { colour, err } = yield* hostname(after, "alice")
        assert.strictEqual(colour, "blue", err)
        assert.strictEqual((yield* hostname(before, "bob")).colour, "red")
        yield* before.process.signal("SIGTERM")
        assert.strictEqual(yield* before.process.exit, 0)
        const left = yield* eventually(
          waiting(after, "default", 2),
          (names) => !names.some((name) => old.includes(name))
        )
        assert.lengthOf(
          left.filter((name) => old.includes(name)),
          0
        )
        assert.lengthOf(left, 2)
      })),
    90_000
  )

  it.live("is replaced when it has waited for too long", () =>
    Effect.scoped(Effect.gen(function*() {
      const cluster = yield* make()
      const service = yield* inFrontOf(cluster, { pod: template("red"), pool: { size: 1, maxAge: "3s" } })
      const [old] = yield* waiting(service, "default", 1)
      const now = yield* eventually(waiting(service, "default", 1), ([name]) => name !== old)
      assert.notStrictEqual(now[0], old)
    })), 90_000)
})
