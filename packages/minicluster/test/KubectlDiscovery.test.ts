/** What kubectl finds out about the cluster: its version, its resources, their fields. */
import { describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasKubectl, Kubectl, together } from "./support/Kubectl.ts"

/** What `api-resources` and `explain` tell of each: the short names, the group's version, whether it has a namespace. */
const kinds: ReadonlyArray<
  readonly [plural: string, short: string, version: string, namespaced: boolean, kind: string]
> = [
  ["configmaps", "cm", "v1", true, "ConfigMap"],
  ["events", "ev", "v1", true, "Event"],
  ["namespaces", "ns", "v1", false, "Namespace"],
  ["nodes", "no", "v1", false, "Node"],
  ["persistentvolumeclaims", "pvc", "v1", true, "PersistentVolumeClaim"],
  ["pods", "po", "v1", true, "Pod"],
  ["secrets", "", "v1", true, "Secret"],
  ["serviceaccounts", "sa", "v1", true, "ServiceAccount"],
  ["selfsubjectreviews", "", "authentication.k8s.io/v1", false, "SelfSubjectReview"],
  ["selfsubjectaccessreviews", "", "authorization.k8s.io/v1", false, "SelfSubjectAccessReview"],
  ["selfsubjectrulesreviews", "", "authorization.k8s.io/v1", false, "SelfSubjectRulesReview"],
  ["leases", "", "coordination.k8s.io/v1", true, "Lease"],
  ["clusterrolebindings", "", "rbac.authorization.k8s.io/v1", false, "ClusterRoleBinding"],
  ["clusterroles", "", "rbac.authorization.k8s.io/v1", false, "ClusterRole"],
  ["rolebindings", "", "rbac.authorization.k8s.io/v1", true, "RoleBinding"],
  ["roles", "", "rbac.authorization.k8s.io/v1", true, "Role"]
]

describe.skipIf(!hasKubectl)("kubectl, where it is in PATH,", () => {
  layer(Kubectl.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("learns the version and the resources", () =>
      Effect.gen(function*() {
        const { says } = yield* Kubectl
        yield* together(
          says(
            "version",
            /^Client Version: v1\.[^\n]+\nKustomize Version: [^\n]+\nServer Version: v1\.32\.\d+[^\n]*\n$/
          ),
          says("get --raw /healthz", "ok"),
          says("get --raw /readyz", "ok"),
          says("get --raw /livez", "ok"),
          says("get --raw /version", /"major":"1","minor":"32"/),
          says("config current-context", "minicluster"),
          says("api-versions", [
            "authentication.k8s.io/v1",
            "authorization.k8s.io/v1",
            "coordination.k8s.io/v1",
            "rbac.authorization.k8s.io/v1",
            "v1"
          ]),
          says(
            "api-resources --no-headers",
            kinds.map(([plural, short, version, namespaced, kind]) =>
              [plural, ...(short === "" ? [] : [short]), version, String(namespaced), kind].join("  ")
            )
          ),
          says("api-resources --namespaced=false --api-group=rbac.authorization.k8s.io -o name", [
            "clusterrolebindings.rbac.authorization.k8s.io",
            "clusterroles.rbac.authorization.k8s.io"
          ]),
          says("api-resources --api-group= --verbs=deletecollection -o name --sort-by=name", [
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "pods",
            "secrets",
            "serviceaccounts"
          ]),
          says("api-resources --categories=all --no-headers", "pods  po  v1  true  Pod")
        )
      }))

    it.effect("explains each kind, a field, and all fields below one", () =>
      Effect.gen(function*() {
        const { fails, says } = yield* Kubectl
        yield* together(
          ...kinds.filter(([plural]) => !plural.startsWith("selfsubject")).map(([plural, short, version, , kind]) => {
            const [group = "", name = ""] = version === "v1" ? ["", "v1"] : version.split("/")
            const head = `${group === "" ? "" : `GROUP:      ${group}\n`}KIND:       ${kind}\nVERSION:    ${name}\n`
            const pattern = `^${head}\nDESCRIPTION:\n    \\w[^]*\nFIELDS:\n[^]*\n  metadata\t<ObjectMeta>`
            return says(`explain ${short === "" ? plural : short}`, new RegExp(pattern))
          }),
          says(
            "explain pod.spec.restartPolicy",
            /^KIND: +Pod\nVERSION: +v1\n\nFIELD: restartPolicy <string>\n[^]*Restart policy/
          ),
          says("explain pod.spec.containers", /FIELD: containers <\[\]Container>\n[^]*\n  name\t<string> -required-\n/),
          says(
            "explain pod.spec.containers --recursive",
            /\nFIELDS:\n  args\t<\[\]string>\n[^]*\n      configMapKeyRef\t<ConfigMapKeySelector>\n        key\t<string> -required-\n/
          ),
          says(
            "explain lease.spec.holderIdentity",
            /^GROUP: +coordination.k8s.io\n[^]*FIELD: holderIdentity <string>\n/
          ),
          fails("explain pod.nope", `error: field "nope" does not exist`),
          fails("explain deployments", `the server doesn't have a resource type "deployments"`)
        )
      }))

    it.effect("is refused readably where the cluster has not what it needs", () =>
      Effect.gen(function*() {
        const { fails } = yield* Kubectl
        const missing = (resource: string) => `error: the server doesn't have a resource type "${resource}"`
        const notFound = "the server could not find the requested resource"
        yield* together(
          fails("top pod", "error: Metrics API not available"),
          fails("top node", "error: Metrics API not available"),
          fails("get rs", missing("rs")),
          fails("rollout status deployment/x", missing("deployment")),
          fails("create deployment x --image=busybox", `error: failed to create deployment: ${notFound}`),
          fails("create job x --image=busybox", `error: failed to create job: ${notFound}`),
          fails("create service clusterip x --tcp=80", `error: failed to create ClusterIP service: ${notFound}`),
          fails("certificate approve x", missing("certificatesigningrequests")),
          fails("cluster-info", /To further debug|services/),
          fails("get --raw /nope", `Error from server (NotFound): ${notFound}`)
        )
      }))
  })
})
