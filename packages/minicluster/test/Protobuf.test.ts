/** What kubectl 1.32 sends in protobuf, byte for byte as it was recorded. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Buffer } from "node:buffer"
import { decodeBody, parseBody } from "../src/shapes/Decode.ts"
import { decodeProtobuf } from "../src/shapes/Protobuf.ts"
import { type ResourceType, resourceTypes, reviewTypes } from "../src/shapes/Resources.ts"

const recorded = {
  configMap:
    "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEk0KEwoDY20xEgAaACIAKgAyADgAQgASBgoBYRIBYhIPCgVmLnR4dBIGaGVsbG8KGh0KBWYuYmluEhRVwc97gl0EhmVAKZGiaXQda9QpZxoAIgA=",
  secret: "azhzAAoMCgJ2MRIGU2VjcmV0Eh4KEgoCczESABoAIgAqADIAOABCABIGCgFhEgFiGgAaACIA",
  namespace: "azhzAAoPCgJ2MRIJTmFtZXNwYWNlEhoKEgoCbjESABoAIgAqADIAOABCABIAGgIKABoAIgA=",
  serviceAccount: "azhzAAoUCgJ2MRIOU2VydmljZUFjY291bnQSFQoTCgNzYTESABoAIgAqADIAOABCABoAIgA=",
  role:
    "azhzAAokChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgRSb2xlEjAKEgoCcjESABoAIgAqADIAOABCABIaCgNnZXQSABoEcG9kcxoIcG9kcy9sb2ciAXgaACIA",
  roleBinding:
    "azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtSb2xlQmluZGluZxKvAQoTCgNyYjESABoAIgAqADIAOABCABImCgRVc2VyEhlyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvGgF1IgASJwoFR3JvdXASGXJiYWMuYXV0aG9yaXphdGlvbi5rOHMuaW8aAWciABIgCg5TZXJ2aWNlQWNjb3VudBIAGgNzYTEiB2RlZmF1bHQaJQoZcmJhYy5hdXRob3JpemF0aW9uLms4cy5pbxIEUm9sZRoCcjEaACIA",
  clusterRole:
    "azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtDbHVzdGVyUm9sZRImChMKA2NyMRIAGgAiACoAMgA4AEIAEg8KA2dldCoIL2hlYWx0aHoaACIA",
  token:
    "azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBI0ChAKABIAGgAiACoAMgA4AEIAEhoKA2F1ZBoQCgNQb2QSAnYxGgFwIgJ1dSCwCRoECgASABoAIgA=",
  canI:
    "azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSQgoQCgASABoAIgAqADIAOABCABIkCiIKB2RlZmF1bHQSA2dldBoAIgAqBHBvZHMyA2xvZzoDbG9nGggIABIAGgAgABoAIgA=",
  canIPath:
    "azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSLwoQCgASABoAIgAqADIAOABCABIREg8KCC9oZWFsdGh6EgNnZXQaCAgAEgAaACAAGgAiAA==",
  canIList:
    "azhzAAoxChdhdXRob3JpemF0aW9uLms4cy5pby92MRIWU2VsZlN1YmplY3RSdWxlc1JldmlldxIjChAKABIAGgAiACoAMgA4AEIAEgkKB2RlZmF1bHQaBBgAIgAaACIA",
  whoAmI:
    "azhzAAotChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESEVNlbGZTdWJqZWN0UmV2aWV3EhoKEAoAEgAaACIAKgAyADgAQgASBgoECgASABoAIgA=",
  podCopy:
    "azhzAAoJCgJ2MRIDUG9kEsoCChgKAWISABoHZGVmYXVsdCIAKgAyADgAQgASmwIKEAoBZRILEgkKABIFCgMxR2kKGgoBYxIVmgESCgMKAW0SCQoBaxIBcBiAAiABEp0BCgFjEgdidXN5Ym94GgVzbGVlcBoBOSoAOhEKAUESABoKIggKAwoBcxIBa0IPCg0KA2NwdRIGCgQxMDBtSg0KAWUQABoCL2UiADIAUiIKFhIUCgIveBIKCAEQABoEaHR0cBoAIgAQABgAIAMoADAAWhgKDBoKCgYIABBjGgASABAAGAAgACgAMABqAHIAegIgAIABAIgBAJABAKIBABIqCgFkEgdidXN5Ym94GgR0cnVlKgBCAGoAcgCAAQCIAQCQAQCiAQRGaWxlGgAgADIAQgBKAFIAWABgAGgAggEAigEAmgEAqAEAwgEAGhAKABoAIgAqADIASgBaAHIAGgAiAA=="
}

const protobuf = "application/vnd.kubernetes.protobuf"
const bytesOf = (name: keyof typeof recorded) => Buffer.from(recorded[name], "base64")
/** As a handler sees it: decoded, and judged as strictly as kubectl asks. */
const decoded = Effect.fnUntraced(
  function*(type: Pick<ResourceType, "group" | "version" | "kind">, name: keyof typeof recorded) {
    const { object } = yield* decodeBody(type, {
      method: "POST",
      user: { name: "test", groups: [] },
      path: [],
      query: new URLSearchParams("fieldValidation=Strict"),
      accept: "",
      contentType: protobuf,
      json: parseBody(bytesOf(name), protobuf)
    })
    const { apiVersion: _, kind: __, ...rest } = object
    return rest
  }
)

describe("a body in protobuf", () => {
  it.effect("is what create configmap, secret, namespace and serviceaccount meant", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* decoded(resourceTypes.configmaps, "configMap"), {
        metadata: { name: "cm1" },
        data: { a: "b", "f.txt": "hello\n" },
        binaryData: { "f.bin": "VcHPe4JdBIZlQCmRoml0HWvUKWc=" }
      })
      assert.deepStrictEqual(yield* decoded(resourceTypes.secrets, "secret"), {
        metadata: { name: "s1" },
        data: { a: "Yg==" }
      })
      assert.deepStrictEqual(yield* decoded(resourceTypes.namespaces, "namespace"), {
        metadata: { name: "n1" },
        spec: {}
      })
      assert.deepStrictEqual(yield* decoded(resourceTypes.serviceaccounts, "serviceAccount"), {
        metadata: { name: "sa1" }
      })
    }))

  it.effect("is what create role, rolebinding and clusterrole meant", () =>
    Effect.gen(function*() {
      const apiGroup = "rbac.authorization.k8s.io"
      assert.deepStrictEqual(yield* decoded(resourceTypes.roles, "role"), {
        metadata: { name: "r1" },
        rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods", "pods/log"], resourceNames: ["x"] }]
      })
      assert.deepStrictEqual(yield* decoded(resourceTypes.rolebindings, "roleBinding"), {
        metadata: { name: "rb1" },
        subjects: [
          { kind: "User", apiGroup, name: "u" },
          { kind: "Group", apiGroup, name: "g" },
          { kind: "ServiceAccount", name: "sa1", namespace: "default" }
        ],
        roleRef: { apiGroup, kind: "Role", name: "r1" }
      })
      assert.deepStrictEqual(yield* decoded(resourceTypes.clusterroles, "clusterRole"), {
        metadata: { name: "cr1" },
        rules: [{ verbs: ["get"], nonResourceURLs: ["/healthz"] }]
      })
    }))

  it.effect("is what create token and the questions of auth meant", () =>
    Effect.gen(function*() {
      const tokenRequest = { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" }
      assert.deepStrictEqual((yield* decoded(tokenRequest, "token"))["spec"], {
        audiences: ["aud"],
        boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "p", uid: "uu" },
        expirationSeconds: 1200
      })
      assert.deepStrictEqual((yield* decoded(reviewTypes.selfsubjectaccessreviews, "canI"))["spec"], {
        resourceAttributes: { namespace: "default", verb: "get", resource: "pods", subresource: "log", name: "log" }
      })
      assert.deepStrictEqual((yield* decoded(reviewTypes.selfsubjectaccessreviews, "canIPath"))["spec"], {
        nonResourceAttributes: { path: "/healthz", verb: "get" }
      })
      assert.deepStrictEqual((yield* decoded(reviewTypes.selfsubjectrulesreviews, "canIList"))["spec"], {
        namespace: "default"
      })
      assert.deepStrictEqual(yield* decoded(reviewTypes.selfsubjectreviews, "whoAmI"), { metadata: {} })
    }))

  it.effect("is the pod that debug --copy-to makes: what is zero on purpose stays", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* decoded(resourceTypes.pods, "podCopy"), {
        metadata: { name: "b", namespace: "default" },
        spec: {
          volumes: [
            { name: "e", emptyDir: { sizeLimit: "1Gi" } },
            { name: "c", configMap: { name: "m", items: [{ key: "k", path: "p", mode: 256 }], optional: true } }
          ],
          containers: [
            {
              name: "c",
              image: "busybox",
              command: ["sleep", "9"],
              env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }],
              resources: { limits: { cpu: "100m" } },
              volumeMounts: [{ name: "e", mountPath: "/e" }],
              livenessProbe: { httpGet: { path: "/x", port: "http" }, periodSeconds: 3 },
              readinessProbe: { tcpSocket: { port: 99 } },
              securityContext: { runAsUser: 0 }
            },
            { name: "d", image: "busybox", command: ["true"], resources: {}, terminationMessagePolicy: "File" }
          ],
          terminationGracePeriodSeconds: 0,
          automountServiceAccountToken: false
        }
      })
    }))

  const text = (number: number, value: string | Buffer) => {
    const bytes = Buffer.from(value)
    return Buffer.concat([Buffer.from([number << 3 | 2, bytes.length]), bytes])
  }
  const enveloped = (apiVersion: string, kind: string, object: Buffer) =>
    Buffer.concat([
      Buffer.from("k8s\0"),
      text(1, Buffer.concat([text(1, apiVersion), text(2, kind)])),
      text(2, object)
    ])

  it.effect("has its times, owners and negative numbers in JSON's form", () =>
    Effect.gen(function*() {
      const seconds = Date.UTC(2026, 0, 2, 3, 4, 5) / 1000
      const septets = [0, 7, 14, 21, 28].map((bits) => Math.floor(seconds / 2 ** bits) % 128 | (bits === 28 ? 0 : 0x80))
      const micro = Buffer.from([1 << 3, ...septets, 2 << 3, 0xe8, 0x07])
      const owner = Buffer.concat([text(1, "Pod"), text(3, "p"), text(4, "u"), text(5, "v1"), Buffer.from([6 << 3, 1])])
      const metadata = Buffer.concat([
        text(1, "l"),
        text(11, Buffer.concat([text(1, "k"), text(2, "")])),
        text(13, owner)
      ])
      const lease = Buffer.concat([text(1, metadata), text(2, Buffer.concat([text(1, "me"), text(4, micro)]))])
      assert.deepStrictEqual(yield* decodeProtobuf(enveloped("coordination.k8s.io/v1", "Lease", lease)), {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: {
          name: "l",
          labels: { k: "" },
          ownerReferences: [{ kind: "Pod", name: "p", uid: "u", apiVersion: "v1", controller: true }]
        },
        spec: { holderIdentity: "me", renewTime: "2026-01-02T03:04:05.000001Z" }
      })
      const minusOne = Buffer.from([8, ...Array.from({ length: 9 }, () => 0xff), 1])
      assert.deepStrictEqual(yield* decodeProtobuf(enveloped("v1", "DeleteOptions", minusOne)), {
        apiVersion: "v1",
        kind: "DeleteOptions",
        gracePeriodSeconds: -1
      })
    }))

  it.effect("of a kind that is not known here is 415; bytes that are no message are 400", () =>
    Effect.gen(function*() {
      const codeOf = (bytes: Buffer) => Effect.map(Effect.flip(decodeProtobuf(bytes)), ({ status }) => status.code)
      assert.strictEqual(yield* codeOf(enveloped("apps/v1", "Deployment", Buffer.alloc(0))), 415)
      assert.strictEqual(yield* codeOf(Buffer.from("{}")), 400)
      assert.strictEqual(yield* codeOf(bytesOf("configMap").subarray(0, 60)), 400)
      assert.strictEqual(yield* codeOf(enveloped("v1", "Pod", Buffer.from([0x0b]))), 400)
      const volume = (bytes: string) => enveloped("v1", "Pod", text(2, text(1, text(2, text(9, bytes)))))
      assert.isObject(yield* decodeProtobuf(volume("")))
      assert.strictEqual(yield* codeOf(volume("glusterfs has no line in the table")), 400)
    }))

  it.effect.prop(
    "that was spoilt is decoded or refused, and never breaks the server",
    { at: Schema.Int, by: Schema.Int },
    ({ at, by }) =>
      Effect.gen(function*() {
        const bytes = bytesOf("podCopy")
        bytes[Math.abs(at) % bytes.length] = Math.abs(by) % 256
        const outcome = yield* decodeProtobuf(bytes).pipe(
          Effect.map(() => 200),
          Effect.catch(({ status }) => Effect.succeed(status.code))
        )
        assert.include([200, 400, 415], outcome)
      }),
    { arbitrary: { runs: 1000 } }
  )
})
