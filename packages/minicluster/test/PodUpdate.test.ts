import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type KubeObject, type Pod } from "../src/shapes/Objects.ts"
import { ephemeralContainersCauses } from "../src/shapes/PodValidation.ts"
import { updateCauses } from "../src/shapes/Validation.ts"
import { type Json, main, podOf, said } from "./support/PodCases.ts"

const stored = (spec: Json): KubeObject => podOf(spec, { resourceVersion: "1" })
const changes = (
  name: string,
  cases: ReadonlyArray<readonly [previous: KubeObject, next: KubeObject, causes: ReadonlyArray<string>]>
) =>
  it.effect(name, () =>
    Effect.sync(() => {
      for (const [previous, next, causes] of cases) {
        assert.deepStrictEqual(said(updateCauses("pods", next, previous)), causes)
      }
    }))
const elsewhere = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`," +
  "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"

const labelSyntax =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and " +
  "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

describe("a pod that is changed", () => {
  const before = stored({ containers: [main()], schedulingGates: [{ name: "g" }], activeDeadlineSeconds: 60 })
  const gated = { schedulingGates: [{ name: "g" }], activeDeadlineSeconds: 60 }

  changes("may get other images, a nearer deadline, more tolerations, and lose its gates", [
    [before, before, []],
    [
      before,
      stored({
        containers: [main({ image: "other:2" })],
        activeDeadlineSeconds: 30,
        tolerations: [{ key: "more", operator: "Exists" }]
      }),
      []
    ],
    [
      stored({ containers: [main()], terminationGracePeriodSeconds: -5 }),
      stored({ containers: [main()], terminationGracePeriodSeconds: 1 }),
      []
    ]
  ])

  changes("may change nothing else, and is told where it did", [
    [before, stored({ containers: [main({ command: ["sh"] })], ...gated, hostname: "h" }), [
      `${elsewhere}  spec.containers[0].command: nothing -> ["sh"]\n  spec.hostname: nothing -> "h"\n`
    ]],
    [before, stored({ containers: [main(), main({ name: "B" })], ...gated }), [
      `spec.containers[1].name: Invalid value: "B": ${labelSyntax}`,
      "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]],
    [before, stored({ containers: [main({ image: "" })], ...gated }), [
      "spec.containers[0].image: Required value",
      `${elsewhere}  spec.containers[0].imagePullPolicy: "IfNotPresent" -> "Always"\n`
    ]],
    [before, stored({ containers: [main()], activeDeadlineSeconds: 61, schedulingGates: [{ name: "new" }] }), [
      "spec.activeDeadlineSeconds: Invalid value: 61: must be less than or equal to previous value",
      "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'new'"
    ]],
    [
      stored({ containers: [main()] }),
      podOf({ containers: [main()], terminationGracePeriodSeconds: 1 }, { name: "A" }),
      [
        "metadata.name: Invalid value: \"A\": field is immutable",
        `${elsewhere}  spec.terminationGracePeriodSeconds: 30 -> 1\n`
      ]
    ],
    [
      stored({ containers: [main()], terminationGracePeriodSeconds: 0 }),
      stored({ containers: [main()], terminationGracePeriodSeconds: 1 }),
      [
        `${elsewhere}  spec.terminationGracePeriodSeconds: 0 -> 1\n`
      ]
    ],
    [before, stored({ containers: [main()] }), [
      "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
    ]],
    [
      stored({ containers: [main()], tolerations: [{ key: "k", operator: "Exists" }] }),
      stored({ containers: [main()] }),
      ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    ]
  ])

  it.effect("may get ephemeral containers, which stay as they are", () =>
    Effect.sync(() => {
      const withSome = (...ephemeralContainers: ReadonlyArray<Json>) =>
        stored({ containers: [main()], volumes: [{ name: "v" }], ephemeralContainers }) as Pod
      const causes = (next: Pod, previous: Pod) => said(ephemeralContainersCauses(next, previous))
      const one = main({ name: "debug", targetContainerName: "a", stdin: true })
      assert.deepStrictEqual(causes(withSome(one), withSome()), [])
      assert.deepStrictEqual(causes(withSome(one, main({ name: "more" })), withSome(one)), [])
      assert.deepStrictEqual(
        causes(
          withSome({
            ...main({ name: "a", targetContainerName: "b", ports: [{ containerPort: 1 }], lifecycle: {} }),
            resources: { limits: { cpu: "1" } },
            volumeMounts: [{ name: "v", mountPath: "/v", subPath: "s" }]
          }),
          withSome(one)
        ),
        [
          "spec.ephemeralContainers[0].targetContainerName: Not found: \"b\"",
          "spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container",
          "spec.ephemeralContainers[0].volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container",
          "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
          "spec.ephemeralContainers[0].lifecycle: Forbidden: cannot be set for an Ephemeral Container",
          "spec.ephemeralContainers[0].name: Duplicate value: \"a\"",
          "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be removed\n"
        ]
      )
      assert.deepStrictEqual(causes({ ...withSome(one), metadata: { ...withSome().metadata, uid: "v" } }, withSome()), [
        "metadata.uid: Invalid value: \"v\": field is immutable"
      ])
      assert.deepStrictEqual(causes(withSome({ ...one, image: "x:1" }), withSome(one)), [
        "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be changed\n  spec.ephemeralContainers.image: \"busybox:1\" -> \"x:1\"\n"
      ])
    }))
})
