/** What a cluster's controllers make of new objects, done at once: nobody has to wait for a controller here. */
import { Clock, Effect, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { removeFolder } from "../runtime/Directory.ts"
import { at, fieldsOf, listOf } from "../shapes/Json.ts"
import { type KubeObject, timestamp } from "../shapes/Objects.ts"
import { groupVersion, type Resource, type Resources, resourceTypes } from "../shapes/Resources.ts"
import { inform } from "./Informer.ts"
import { type Store } from "./Store.ts"

/** Stores an object of the cluster's own; one that is there already stays as it is. */
export const makeObject = <R extends Resource>(
  store: Store,
  resource: R,
  name: string,
  namespace: string | undefined,
  content: Readonly<Record<string, unknown>>
): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const type = resourceTypes[resource]
    const object = {
      ...content,
      apiVersion: groupVersion(type),
      kind: type.kind,
      metadata: {
        ...content["metadata"] as object | undefined,
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: randomUUID(),
        resourceVersion: "",
        creationTimestamp: timestamp(now)
      }
    } as unknown as Resources[R]
    return Effect.ignore(store.create(resource, object))
  })

const caConfigMap = "kube-root-ca.crt"

/** A namespace has a service account and the authority's certificate from its first moment on. */
const furnishNamespace = (store: Store, authority: string, namespace: string) =>
  Effect.andThen(
    makeObject(store, "serviceaccounts", "default", namespace, {}),
    makeObject(store, "configmaps", caConfigMap, namespace, {
      metadata: {
        annotations: {
          "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver."
        }
      },
      data: { "ca.crt": authority }
    })
  )

/** A claim is bound at once: its volume is a folder. */
const bindClaim = (store: Store, claim: KubeObject) =>
  Effect.ignore(
    store.update("persistentvolumeclaims", claim.metadata.namespace ?? "", claim.metadata.name, (current) => ({
      ...current,
      metadata: {
        ...current.metadata,
        annotations: {
          ...current.metadata.annotations,
          "pv.kubernetes.io/bind-completed": "yes",
          "pv.kubernetes.io/bound-by-controller": "yes"
        }
      },
      spec: { ...fieldsOf(at(claim, "spec")), volumeName: `pvc-${claim.metadata.uid}` },
      status: {
        phase: "Bound",
        accessModes: listOf(at(claim, "spec", "accessModes")),
        capacity: { storage: at(claim, "spec", "resources", "requests", "storage") }
      }
    }))
  )

/** To be called with every object that was created. */
export const afterCreate = (
  store: Store,
  authority: string,
  resource: Resource,
  object: KubeObject
): Effect.Effect<void> => {
  if (resource === "namespaces") return furnishNamespace(store, authority, object.metadata.name)
  return resource === "persistentvolumeclaims" ? bindClaim(store, object) : Effect.void
}

/** The namespaces that every cluster has. */
export const makeNamespaces = (store: Store, authority: string): Effect.Effect<void> =>
  Effect.forEach(["default", "kube-system", "kube-public", "kube-node-lease"], (name) =>
    Effect.andThen(
      makeObject(store, "namespaces", name, undefined, {
        metadata: { labels: { "kubernetes.io/metadata.name": name } },
        spec: { finalizers: ["kubernetes"] },
        status: { phase: "Active" }
      }),
      furnishNamespace(store, authority, name)
    ), { discard: true })

/** A claim's folder goes with the claim. */
export const removeClaimFolders = (store: Store, claims: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    inform(store, {
      relist: Effect.void,
      change: ({ object, resource, type }) =>
        resource === "persistentvolumeclaims" && type === "DELETED"
          ? Effect.asVoid(Effect.forkIn(removeFolder(join(claims, object.metadata.uid)), scope))
          : Effect.void
    }))
