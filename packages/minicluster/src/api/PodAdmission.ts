/** What the admission plugins of an API server do to an object that is created, after its defaults, before its rules. */
import { Effect } from "effect"
import { imageBehaviour } from "../runtime/Images.ts"
import { fieldsOf, isAbsent, listOf, textOf } from "../shapes/Json.ts"
import { generatedName } from "../shapes/Names.ts"
import { type Container, type KubeObject, type Pod, type PodSpec, type Volume } from "../shapes/Objects.ts"
import { qualifiedName, type Resource, resourceTypes } from "../shapes/Resources.ts"
import { type User } from "./Http.ts"
import { ApiError, denied, forbidden, notPermitted } from "./Status.ts"
import { type Store } from "./Store.ts"

/** `NamespaceLifecycle`: nothing comes into a namespace that goes, or is not there. */
const checkNamespace = Effect.fnUntraced(function*(store: Store, resource: Resource, { metadata }: KubeObject) {
  const { name, namespace = "" } = metadata
  if (!resourceTypes[resource].namespaced) return
  const found = yield* store.get("namespaces", "", namespace)
  if (found.metadata.deletionTimestamp === undefined) return
  const sentence = `unable to create new content in namespace ${namespace} because it is being terminated`
  const { status } = forbidden(qualifiedName(resource), name, sentence)
  const causes = [{
    reason: "NamespaceTerminating",
    message: `namespace ${namespace} is being terminated`,
    field: "metadata.namespace"
  }]
  return yield* new ApiError({ status: { ...status, details: { ...status.details, causes } } })
})

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"
const tokenVolume = "kube-api-access-"

/** The odd seconds tell a token that nobody asked for. */
const apiAccess = (name: string): Volume => ({
  name,
  projected: {
    defaultMode: 0o644,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      {
        downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] }
      }
    ]
  }
})

const containersOf = (spec: PodSpec) => listOf(fieldsOf(spec)["containers"]) as ReadonlyArray<Container>

/** The pod with its account's token in every container that has nothing else in that place. */
const withToken = (spec: PodSpec): PodSpec => {
  // Nobody has yet judged whether what has to be there is there.
  const [containers, initContainers] = [containersOf(spec), spec.initContainers ?? []]
  const volumes = spec.volumes ?? []
  const existing = volumes.find(({ name }) => textOf(name).startsWith(tokenVolume))?.name
  const name = existing ?? generatedName(tokenVolume)
  const lacks = ({ volumeMounts = [] }: Container) => volumeMounts.every(({ mountPath }) => mountPath !== tokenPath)
  const given = (container: Container): Container => {
    const mount = { name, readOnly: true, mountPath: tokenPath }
    return lacks(container) ? { ...container, volumeMounts: [...container.volumeMounts ?? [], mount] } : container
  }
  if (![...containers, ...initContainers].some(lacks)) return spec
  return {
    ...spec,
    containers: containers.map(given),
    ...(initContainers.length === 0 ? {} : { initContainers: initContainers.map(given) }),
    volumes: existing === undefined ? [...volumes, apiAccess(name)] : volumes
  }
}

/** `ServiceAccount`: the account exists, lends its pull secrets, and its token is there unless somebody objects. */
const giveAccount = Effect.fnUntraced(function*(store: Store, pod: Pod) {
  const { metadata: { name, namespace = "" }, spec } = pod
  const { serviceAccountName = "default" } = spec
  const account = yield* Effect.mapError(store.get("serviceaccounts", namespace, serviceAccountName), () => {
    const lead = `error looking up service account ${namespace}/${serviceAccountName}`
    return forbidden("pods", name, `${lead}: serviceaccount "${serviceAccountName}" not found`)
  })
  const { automountServiceAccountToken: mounts, imagePullSecrets } = fieldsOf(account)
  const borrows = isAbsent(fieldsOf(spec)["imagePullSecrets"]) && !isAbsent(imagePullSecrets)
  const lent = borrows ? { ...spec, imagePullSecrets } : spec
  return { ...pod, spec: (spec.automountServiceAccountToken ?? mounts) === false ? lent : withToken(lent) }
})

const priorities = new Map([
  ["", 0],
  ["system-cluster-critical", 2_000_000_000],
  ["system-node-critical", 2_000_001_000]
])

/** `Priority`: the class says the number, and there are no classes but those that every cluster has. */
const givePriority = (pod: Pod): Effect.Effect<Pod, ApiError> => {
  const className = textOf(fieldsOf(pod.spec)["priorityClassName"])
  const priority = priorities.get(className)
  const refuse = (what: string) => Effect.fail(forbidden("pods", pod.metadata.name, what))
  if (priority === undefined) return refuse(`no PriorityClass with name ${className} was found`)
  const given = pod.spec.priority ?? priority
  if (given === priority) return Effect.succeed({ ...pod, spec: { ...pod.spec, priority } })
  const why = `priority admission controller computed ${priority} from the given PriorityClass name`
  return refuse(`the integer value of priority (${given}) must not be provided in pod spec; ${why}`)
}

/** Plugins and webhooks that the names of images stand for. */
const refusal = ({ metadata, spec }: Pod, user: User): ApiError | undefined => {
  const { name, namespace = "" } = metadata
  for (const { image } of containersOf(spec)) {
    switch (imageBehaviour(textOf(image))._tag) {
      case "Quota":
        return forbidden("pods", name, "exceeded quota: pods, requested: pods=1, used: pods=10, limited: pods=10")
      case "Denied":
        return denied("policy.kuberun.test", `image ${image} is not allowed here`)
      case "Rbac": {
        const what = `cannot create resource "pods" in API group "" in the namespace "${namespace}"`
        return notPermitted("pods", "", `User "${user.name}" ${what}`)
      }
      default:
    }
  }
  return undefined
}

const admitPod = Effect.fnUntraced(function*(store: Store, pod: Pod, user: User) {
  const admitted = yield* givePriority(yield* giveAccount(store, pod))
  const refused = refusal(admitted, user)
  return refused === undefined ? admitted : yield* refused
})

/**
 * Completes an object that `user` creates by what the cluster knows, or refuses it: 403 where its namespace is going,
 * its service account or priority class is not there, or an image of it asks to be refused; 404 without its namespace.
 */
export const admit = (
  store: Store,
  resource: Resource,
  object: KubeObject,
  user: User
): Effect.Effect<KubeObject, ApiError> =>
  Effect.andThen(
    checkNamespace(store, resource, object),
    resource === "pods" ? admitPod(store, object as Pod, user) : Effect.succeed(object)
  )
