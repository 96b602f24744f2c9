/** What a body must look like, and what is said about one that does not. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Buffer } from "node:buffer"
import { type ApiRequest } from "../src/api/Http.ts"
import { decodeBody, decodeDeleteOptions, parseBody } from "../src/shapes/Decode.ts"
import { resourceTypes } from "../src/shapes/Resources.ts"
import { conform } from "../src/shapes/Schemas.ts"

const request = (json: unknown, query = "", method = "POST"): ApiRequest => ({
  method,
  user: { name: "test", groups: [] },
  path: [],
  query: new URLSearchParams(query),
  accept: "",
  contentType: "application/json",
  json: Effect.succeed(json)
})

const pod = (spec: unknown, metadata: unknown = { name: "a" }) => ({ apiVersion: "v1", kind: "Pod", metadata, spec })
const decodePod = (body: unknown, query = "", method = "POST") =>
  decodeBody(resourceTypes.pods, request(body, query, method))
const refusal = Effect.fnUntraced(function*(effect: ReturnType<typeof decodePod>) {
  const { status } = yield* Effect.flip(effect)
  return [status.code, status.message]
})

describe("an object that was sent", () => {
  it("keeps what fields take, and loses nulls, zeros that mean nothing, and what no field takes", () => {
    const { fault, object, unknown } = conform("V1Pod", {
      metadata: { name: "a", creationTimestamp: null, managedFields: [{ manager: "m", fieldsV1: { "f:spec": {} } }] },
      spec: {
        contaners: [],
        terminationGracePeriodSeconds: 0,
        nodeName: null,
        containers: [{
          name: "c",
          imge: "x",
          tty: false,
          stdin: true,
          livenessProbe: { timeoutSeconds: 0, httpGet: { port: "http" } },
          resources: { limits: { cpu: 1, memory: "1Gi" } }
        }]
      },
      status: { containerStatuses: [{ state: { terminated: { exitCode: 0, startedAt: null } } }] }
    })
    assert.isUndefined(fault)
    assert.deepStrictEqual(unknown, ["unknown field \"spec.contaners\"", "unknown field \"spec.containers[0].imge\""])
    assert.deepStrictEqual(object, {
      metadata: { name: "a", managedFields: [{ manager: "m", fieldsV1: { "f:spec": {} } }] },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{
          name: "c",
          stdin: true,
          livenessProbe: { httpGet: { port: "http" } },
          resources: { limits: { cpu: "1", memory: "1Gi" } }
        }]
      },
      status: { containerStatuses: [{ state: { terminated: { exitCode: 0, startedAt: null } } }] }
    })
  })

  const fault = (model: string, object: Readonly<Record<string, unknown>>) => conform(model, object).fault
  it("of a wrong type is described as Go's decoder does, by the struct and the field's way", () => {
    const cannot = (what: string) => `json: cannot unmarshal ${what}`
    const container = (more: object) => fault("V1Pod", { spec: { containers: [{ name: "c" }, more] } })
    assert.strictEqual(
      fault("V1Pod", { spec: { containers: "x", volumes: "y" } }),
      cannot("string into Go struct field PodSpec.spec.containers of type []v1.Container")
    )
    assert.strictEqual(fault("V1Pod", { spec: [] }), cannot("array into Go struct field Pod.spec of type v1.PodSpec"))
    assert.strictEqual(
      fault("V1Pod", { metadata: { labels: { a: 1 } } }),
      cannot("number into Go struct field ObjectMeta.metadata.labels of type string")
    )
    assert.strictEqual(
      container({ env: [{ name: "A", value: true }] }),
      cannot("bool into Go struct field EnvVar.spec.containers.env.value of type string")
    )
    assert.strictEqual(
      container({ resources: { limits: "1" } }),
      cannot(
        "string into Go struct field ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList"
      )
    )
    assert.strictEqual(
      fault("V1Pod", { spec: { activeDeadlineSeconds: 1.5 } }),
      cannot("number 1.5 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64")
    )
    assert.strictEqual(
      container({ ports: [{ containerPort: 2 ** 40 }] }),
      cannot(
        "number 1099511627776 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"
      )
    )
    assert.strictEqual(
      fault("V1RoleBinding", { roleRef: { name: {} } }),
      cannot("object into Go struct field RoleRef.roleRef.name of type string")
    )
    assert.match(container({ resources: { limits: { cpu: "1 core" } } }) ?? "", /^quantities must match the regular/)
    assert.strictEqual(
      container({ livenessProbe: { httpGet: { port: true } } }),
      cannot("bool into Go value of type int32")
    )
    assert.match(fault("V1Lease", { spec: { renewTime: "now" } }) ?? "", /^parsing time "now" as "2006-/)
    assert.strictEqual(fault("V1Secret", { data: { a: "YQ=" } }), "illegal base64 data at input byte 0")
    assert.strictEqual(fault("V1Secret", { data: { a: "YWFh*" } }), "illegal base64 data at input byte 4")
  })

  it("may have any quantity, time and base64 that Kubernetes takes", () => {
    const quantities = ["1", "0.5", ".5", "100m", "1Gi", "1e3", "-1", "12E", 3, 0.25]
    for (const cpu of quantities) {
      assert.isUndefined(fault("V1Pod", { spec: { overhead: { cpu } } }), String(cpu))
    }
    for (const acquireTime of ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05+01:00"]) {
      assert.isUndefined(fault("V1Lease", { spec: { acquireTime } }), acquireTime)
    }
    for (const text of ["", "a", "ab", "abc", "\u00ff?>"]) {
      assert.isUndefined(fault("V1Secret", { data: { text: Buffer.from(text).toString("base64") } }), text)
    }
  })

  const anything = Schema.Record(
    Schema.Literals(["metadata", "spec", "status", "name", "labels", "containers", "env", "ports", "limits", "x"]),
    Schema.Json
  )
  it.effect.prop(
    "is made such that it needs no more to be said about it, whatever it was",
    { object: anything },
    ({ object }) =>
      Effect.sync(() => {
        const once = conform("V1Pod", object)
        if (once.fault !== undefined) return
        assert.deepStrictEqual(conform("V1Pod", once.object), { object: once.object, unknown: [], fault: undefined })
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("fieldValidation", () => {
  const typos = pod({ contaners: [], containers: [{ name: "c", imge: "x" }] })
  it.effect("Strict refuses unknown fields, all at once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refusal(decodePod(typos, "fieldValidation=Strict")), [
        400,
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.contaners\", unknown field \"spec.containers[0].imge\""
      ])
    }))

  it.effect("Warn, which is the default, warns of them, and Ignore says nothing; both leave them out", () =>
    Effect.gen(function*() {
      const object = pod({ containers: [{ name: "c" }] })
      const warnings = ["unknown field \"spec.contaners\"", "unknown field \"spec.containers[0].imge\""]
      assert.deepStrictEqual(yield* decodePod(typos), { object, warnings })
      assert.deepStrictEqual(yield* decodePod(typos, "fieldValidation=Warn"), { object, warnings })
      assert.deepStrictEqual(yield* decodePod(typos, "fieldValidation=Ignore"), { object, warnings: [] })
    }))

  it.effect("is 422 for other words, and for what a patch leads to", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refusal(decodePod(typos, "fieldValidation=Never", "PUT")), [
        422,
        "UpdateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Never\": supported values: \"Ignore\", \"Strict\", \"Warn\""
      ])
      const [code, message] = yield* refusal(decodePod({ spec: { a: 1 } }, "fieldValidation=Strict", "PATCH"))
      assert.strictEqual(code, 422)
      assert.strictEqual(
        message,
        ` "" is invalid: patch: Invalid value: "{\\"spec\\":{\\"a\\":1}}": strict decoding error: unknown field "spec.a"`
      )
    }))
})

describe("a body", () => {
  it.effect("of another kind or version is refused; it may leave out what it is", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refusal(decodePod({ apiVersion: "v1", kind: "Service" })), [
        400,
        "Service in version \"v1\" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion"
      ])
      assert.deepStrictEqual(yield* refusal(decodePod({ apiVersion: "v2", kind: "Pod" })), [
        400,
        "the API version in the data (v2) does not match the expected API version (v1)"
      ])
      const lease = { metadata: { name: "l" }, apiVersion: "coordination.k8s.io/v1" }
      const { object } = yield* decodeBody(resourceTypes.leases, request(lease))
      assert.deepStrictEqual(object, lease)
    }))

  it.effect("that is empty or no object is refused", () =>
    Effect.gen(function*() {
      const nothing =
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
      assert.deepStrictEqual(yield* refusal(decodePod(undefined)), [
        400,
        `${nothing}unexpected end of JSON input (<empty>)`
      ])
      const [code, message] = yield* refusal(decodePod([]))
      assert.strictEqual(code, 400)
      assert.isTrue(String(message).startsWith(`${nothing}json: cannot unmarshal array into Go value`))
    }))

  const parse = (text: string, type: string) => parseBody(Buffer.from(text), type)
  it.effect("is read as JSON or YAML, by its content type", () =>
    Effect.gen(function*() {
      for (const type of ["", "application/json", "application/merge-patch+json", "application/apply-patch+yaml"]) {
        assert.deepStrictEqual(yield* parse(`{"a":[1,"b",null]}`, type), { a: [1, "b", null] })
      }
      const yaml = "base: &b {x: 1}\nother:\n  <<: *b\n  y: '2'\n"
      assert.deepStrictEqual(yield* parse(yaml, "application/yaml"), { base: { x: 1 }, other: { x: 1, y: "2" } })
    }))

  it.effect("that cannot be read is 400, and 415 when its type is unknown", () =>
    Effect.gen(function*() {
      const codeOf = (text: string, type: string) =>
        Effect.map(Effect.flip(parse(text, type)), ({ status }) => status.code)
      assert.strictEqual(yield* codeOf("{", "application/json"), 400)
      assert.strictEqual(yield* codeOf("a: [", "application/yaml"), 400)
      assert.strictEqual(yield* codeOf("[".repeat(20_000), "application/yaml"), 400)
      const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
      assert.isArray(yield* parse(nested(900), "application/json"))
      assert.strictEqual(yield* codeOf(nested(100_000), "application/json"), 400)
      assert.strictEqual(yield* codeOf("{}", "text/plain"), 415)
    }))
})

describe("the options of a deletion", () => {
  const decode = (body: unknown, query = "") => decodeDeleteOptions(request(body, query, "DELETE"))
  const refused = (body: unknown, query = "") =>
    Effect.map(Effect.flip(decode(body, query)), ({ status }) => [status.code, status.message])

  it.effect("come from the body, and from the query what the body does not say", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* decode(undefined), {})
      assert.deepStrictEqual(
        yield* decode(undefined, "gracePeriodSeconds=0&propagationPolicy=Orphan&dryRun=All"),
        { gracePeriodSeconds: 0, propagationPolicy: "Orphan", dryRun: ["All"] }
      )
      assert.deepStrictEqual(yield* decode(undefined, "orphanDependents=false"), { orphanDependents: false })
      const body = { kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: 5, preconditions: { uid: "u" } }
      assert.deepStrictEqual(
        yield* decode({ ...body, propagationPolicy: null }, "gracePeriodSeconds=9&propagationPolicy=Foreground"),
        { ...body, gracePeriodSeconds: 5, propagationPolicy: "Foreground" }
      )
    }))

  it.effect("are refused when they make no sense", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refused({ gracePeriodSeconds: "5" }), [
        400,
        "DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
      ])
      assert.strictEqual((yield* refused({ kind: "Pod" }))[0], 400)
      assert.strictEqual((yield* refused([]))[0], 400)
      assert.deepStrictEqual(yield* refused(undefined, "gracePeriodSeconds=soon"), [
        400,
        "strconv.ParseInt: parsing \"soon\": invalid syntax"
      ])
      assert.deepStrictEqual(yield* refused({ propagationPolicy: "Maybe" }), [
        422,
        "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Maybe\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
      ])
      assert.strictEqual((yield* refused({ propagationPolicy: "Orphan", orphanDependents: true }))[0], 422)
      assert.strictEqual((yield* refused({ dryRun: ["Some"] }))[0], 422)
    }))
})
