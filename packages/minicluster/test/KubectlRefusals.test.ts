/** What kubectl shows of what the API server refuses, word for word. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, together, webPod } from "./support/Kubectl.ts"

const container = (more: object = {}) => ({ name: "main", image: "busybox", ...more })

const pod = (spec: object, metadata: object = { name: "bad" }): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata,
  spec
})

const of = (...containers: ReadonlyArray<object>) => pod({ containers })

const label1123 =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const subdomain1123 =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const labelValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

/** A manifest's file name, the manifest, and what kubectl says of it. */
const manifests: ReadonlyArray<
  readonly [name: string, manifest: object | string, sentence: string | ReadonlyArray<string>]
> = [
  [
    "typo",
    of({ ...container(), imagee: "x" }),
    `Error from server (BadRequest): error when creating "typo.json": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagee"`
  ],
  [
    "typos",
    { ...of({ ...container(), imagee: "x" }), sepc: {} },
    `Error from server (BadRequest): error when creating "typos.json": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "sepc", unknown field "spec.containers[0].imagee"`
  ],
  [
    "type",
    of(container({ ports: [{ containerPort: "eighty" }] })),
    `Error from server (BadRequest): error when creating "type.json": Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32`
  ],
  [
    "boolean",
    of(container({ stdin: "yes" })),
    `Error from server (BadRequest): error when creating "boolean.json": Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field Container.spec.containers.stdin of type bool`
  ],
  [
    "quantity",
    of(container({ resources: { requests: { cpu: "lots" } } })),
    `Error from server (BadRequest): error when creating "quantity.json": Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`
  ],
  ["image", of({ name: "main" }), `The Pod "bad" is invalid: spec.containers[0].image: Required value`],
  ["none", pod({ containers: [] }), `The Pod "bad" is invalid: spec.containers: Required value`],
  ["twice", of(container(), container()), `The Pod "bad" is invalid: spec.containers[1].name: Duplicate value: "main"`],
  [
    "name",
    pod({ containers: [container()] }, { name: "Bad_Name" }),
    `The Pod "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": ${subdomain1123}`
  ],
  [
    "label",
    pod({ containers: [container()] }, { name: "bad", labels: { a: "b c" } }),
    `The Pod "bad" is invalid: metadata.labels: Invalid value: "b c": ${labelValue}`
  ],
  [
    "mount",
    of(container({ volumeMounts: [{ name: "v", mountPath: "/v" }] })),
    `The Pod "bad" is invalid: spec.containers[0].volumeMounts[0].name: Not found: "v"`
  ],
  [
    "limit",
    of(container({ resources: { requests: { cpu: "2" }, limits: { cpu: "1" } } })),
    `The Pod "bad" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`
  ],
  [
    "several",
    pod({
      restartPolicy: "Sometimes",
      containers: [{ name: "Main", image: "" }, container({ name: "x", ports: [{ containerPort: 99_999 }] })]
    }),
    [
      `The Pod "bad" is invalid: `,
      `* spec.containers[0].name: Invalid value: "Main": ${label1123}`,
      "* spec.containers[0].image: Required value",
      "* spec.containers[1].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive",
      `* spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"`
    ]
  ],
  [
    "account",
    pod({ serviceAccountName: "none", containers: [container()] }),
    `Error from server (Forbidden): error when creating "account.json": pods "bad" is forbidden: error looking up service account default/none: serviceaccount "none" not found`
  ],
  [
    "nowhere",
    pod({ containers: [container()] }, { name: "bad", namespace: "nowhere" }),
    `Error from server (NotFound): error when creating "nowhere.json": namespaces "nowhere" not found`
  ],
  [
    "kind",
    { apiVersion: "v1", kind: "Nope", metadata: { name: "d" } },
    [
      `error: resource mapping not found for name: "d" namespace: "" from "kind.json": no matches for kind "Nope" in version "v1"`,
      "ensure CRDs are installed first"
    ]
  ],
  [
    "deployment",
    { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" } },
    [
      `error: resource mapping not found for name: "d" namespace: "" from "deployment.json": no matches for kind "Deployment" in version "apps/v1"`,
      "ensure CRDs are installed first"
    ]
  ],
  [
    "nokind",
    { apiVersion: "v1", metadata: { name: "d" } },
    `error: error validating "nokind.json": error validating data: kind not set; if you choose to ignore these errors, turn validation off with --validate=false`
  ],
  [
    "noversion",
    { kind: "Pod", metadata: { name: "d" } },
    `error: error validating "noversion.json": error validating data: apiVersion not set; if you choose to ignore these errors, turn validation off with --validate=false`
  ]
]

describe.skipIf(!hasKubectl)("kubectl, where it is in PATH,", () => {
  layer(Kubectl.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("says what is wrong with a manifest, all of it at once, to create and to apply", () =>
      Effect.gen(function*() {
        const { fails, run, says, write } = yield* Kubectl
        // With the discovery at hand.
        yield* run("api-resources")
        yield* together(...manifests.flatMap(([name, manifest, sentence]) => {
          const file = write(`${name}.json`, manifest)
          return ["create", "apply"].map((command) => fails(`${command} -f ${file}`, sentence))
        }))
        write("nameless.json", pod({ containers: [container()] }, {}))
        yield* fails(
          "create -f nameless.json",
          `The Pod "" is invalid: metadata.name: Required value: name or generateName is required`
        )
        write("generated.json", pod({ containers: [container()] }, { generateName: "gen-" }))
        yield* says("create -f generated.json", /^pod\/gen-[bcdfghjklmnpqrstvwxz2-9]{5} created\n$/)
        // Who wants to be warned only, is.
        const warned = yield* run("create -f typo.json --validate=warn")
        assert.deepStrictEqual(warned, {
          code: 0,
          out: "pod/bad created\n",
          err: `Warning: unknown field "spec.containers[0].imagee"\n`
        })
        yield* says("delete pod bad --now", `pod "bad" deleted`)
        yield* says("create -f typo.json --validate=ignore", "pod/bad created")
        assert.include(
          (yield* run("apply -f -", { input: "a: b: c" })).err,
          "error parsing STDIN: error converting YAML to JSON: yaml: mapping values are not allowed in this context"
        )
      }))

    it.effect("says what of a pod cannot be changed", () =>
      Effect.gen(function*() {
        const { fails, run, says, write } = yield* Kubectl
        write("web.json", webPod("web"))
        yield* says("create -f web.json", "pod/web created")
        const immutable =
          "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
        for (
          const command of [
            `patch pod web -p '{"spec":{"terminationGracePeriodSeconds":7}}'`,
            `patch pod web --type=json -p '[{"op":"add","path":"/spec/containers/0/command/2","value":"true"}]'`
          ]
        ) {
          const { code, err } = yield* run(command)
          assert.strictEqual(code, 1)
          assert.isTrue(err.startsWith(`The Pod "web" is invalid: spec: Forbidden: ${immutable}\n`), err)
        }
        write("less.json", pod({ containers: [container()] }, { name: "web" }))
        yield* fails(
          "replace -f less.json",
          `The Pod "web" is invalid: spec.containers: Forbidden: pod updates may not add or remove containers`
        )
        yield* says("replace --force --grace-period=1 -f less.json", [`pod "web" deleted`, "pod/web replaced"])
        yield* fails(
          "create -f web.json",
          `Error from server (AlreadyExists): error when creating "web.json": pods "web" already exists`
        )
        const environment = {
          EDITOR: "sed -i 's/^  terminationGracePeriodSeconds: .*/  terminationGracePeriodSeconds: 9/'"
        }
        const edited = yield* run("edit pod web", { environment })
        assert.strictEqual(edited.code, 1)
        assert.match(
          edited.err,
          /^error: pods "web" is invalid\n[^]*error: Edit cancelled, no valid changes were saved\.\n$/
        )
        const stale = pod({ containers: [container()] }, { name: "web", resourceVersion: "1" })
        write("stale.json", stale)
        yield* fails(
          "replace -f stale.json",
          `Error from server (Conflict): error when replacing "stale.json": Operation cannot be fulfilled on pods "web": the object has been modified; please apply your changes to the latest version and try again`
        )
      }))

    it.effect("says what is not there, and what may not be", () =>
      Effect.gen(function*() {
        const { fails, run } = yield* Kubectl
        yield* run("create cm taken")
        yield* run("create rolebinding bound --role=one --user=bob")
        yield* together(
          fails("get pod none", `Error from server (NotFound): pods "none" not found`),
          fails("delete pod none", `Error from server (NotFound): pods "none" not found`),
          fails("describe pod none", `Error from server (NotFound): pods "none" not found`),
          fails("patch pod none -p {}", `Error from server (NotFound): pods "none" not found`),
          fails("label pod none a=b", `Error from server (NotFound): pods "none" not found`),
          fails("edit pod none", `Error from server (NotFound): pods "none" not found`),
          fails(
            `patch rolebinding bound -p '{"roleRef":{"name":"two"}}'`,
            /^The RoleBinding "bound" is invalid: roleRef: Invalid value: [^\n]+: cannot change roleRef\n$/
          ),
          fails("get nope", `error: the server doesn't have a resource type "nope"`),
          fails("get role none", `Error from server (NotFound): roles.rbac.authorization.k8s.io "none" not found`),
          fails("create cm taken", `error: failed to create configmap: configmaps "taken" already exists`),
          fails("create ns default", `Error from server (AlreadyExists): namespaces "default" already exists`),
          fails(
            "delete ns default",
            `Error from server (Forbidden): namespaces "default" is forbidden: this namespace may not be deleted`
          ),
          fails("create token none", `error: failed to create token: serviceaccounts "none" not found`),
          fails("create token default --duration=1m", /may not specify a duration less than 10 minutes\n$/),
          fails("create role x --verb=get --resource=nopes", `the server doesn't have a resource type "nopes"`),
          fails(
            "get pods --field-selector=nope=1",
            `Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", field selector "nope=1": field label not supported: nope`
          ),
          fails("label ns default a='b c'", /^error: invalid label value: "a=b c": a valid label must be/),
          fails(
            "label ns default a/b/c=d",
            /^The Namespace "default" is invalid: metadata.labels: Invalid value: "a\/b\/c": a qualified name must consist of /
          ),
          fails(
            "patch ns default -p nonsense",
            "Error from server (BadRequest): json: cannot unmarshal string into Go value of type map[string]interface {}"
          ),
          fails("get pods --token=wrong", "error: You must be logged in to the server (Unauthorized)")
        )
      }))

    it.effect("says what admission refuses", () =>
      Effect.gen(function*() {
        const { fails } = yield* Kubectl
        yield* together(
          fails(
            "run x --image=kuberun.test/quota",
            /^Error from server \(Forbidden\): pods "x" is forbidden: exceeded quota: [^\n]*\n$/
          ),
          fails(
            "run x --image=kuberun.test/denied",
            /^Error from server[^\n]*: admission webhook "policy.kuberun.test" denied the request: /
          ),
          fails(
            "run x --image=kuberun.test/rbac",
            /^Error from server \(Forbidden\): pods is forbidden: User "[^"]+" cannot create resource "pods" in API group "" in the namespace "default"\n$/
          ),
          fails(
            "run UP --image=busybox",
            `The Pod "UP" is invalid: \n* metadata.name: Invalid value: "UP": ${subdomain1123}\n* spec.containers[0].name: Invalid value: "UP": ${label1123}`
          ),
          fails("run x --image='not good'", `error: Invalid image name "not good": invalid reference format`)
        )
      }))
  })
})
