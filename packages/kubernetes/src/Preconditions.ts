/**
 * What a write is meant for, in the three ways in which the API takes it.
 */
import { type ClusterError, Conflict, type MetadataPatch, type Precondition } from "kuberun"
import { failed } from "./ApiFault.ts"

const given = ({ resourceVersion, uid }: Precondition) => ({
  ...(uid === undefined ? {} : { uid }),
  ...(resourceVersion === undefined ? {} : { resourceVersion })
})

/** The body of a `DELETE`: a `metav1.DeleteOptions`. */
export const deleteOptions = (options: Precondition & { readonly gracePeriodSeconds?: number | undefined } = {}) => {
  const preconditions = given(options)
  return {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: "Background",
    ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
    ...(options.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds })
  }
}

/**
 * A merge patch of metadata (RFC 7386). An identity or a version in it that is not the object's own makes the API server
 * refuse the patch; that comparison and the change are one step there.
 */
export const metadataPatch = ({ annotations, labels }: MetadataPatch, precondition: Precondition = {}) => ({
  metadata: {
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...given(precondition)
  }
})

/**
 * What a failed patch means. The wrong version is a 409, but the wrong identity is told as an attempt to change a field
 * that never changes: 422, with `metadata.uid` as the cause (`ValidateObjectMetaAccessorUpdate` of apimachinery;
 * Kubernetes' own controllers read it so, `controller_ref_manager.go`). Both are the same to who asked.
 */
export const conflictOfIdentity = (precondition: Precondition | undefined) => (error: ClusterError): ClusterError => {
  const { reason } = error
  return precondition?.uid !== undefined && reason._tag === "Rejected" && reason.status === 422 &&
      /\bmetadata\.uid\b/u.test(reason.detail)
    ? failed(error.operation)(new Conflict({ detail: reason.detail }))
    : error
}
