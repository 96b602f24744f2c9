/**
 * The keys under `pool`: started pods that wait for users.
 */
import { Effect, Schema } from "effect"
import { GoDuration } from "./GoDuration.ts"
import { DnsLabel } from "./PodConfig.ts"

const Size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))

/** A group of users with pods in waiting of its own. The first class that a user belongs to counts. */
export const PoolClass = Schema.Struct({
  name: DnsLabel.annotateKey({ description: "The name of the class, for the pods' label." }),
  users: Schema.NonEmptyArray(Schema.NonEmptyString)
    .annotateKey({ description: "User names, in which * stands for any text." }),
  size: Size.annotateKey({ description: "How many pods wait for the users of this class." })
})
export type PoolClass = typeof PoolClass.Type

/** Started pods that wait for users, for all replicas together. */
export const PoolConfig = Schema.Struct({
  size: Size.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))
    .annotateKey({ description: "How many pods wait for the users of no class." }),
  maxAge: GoDuration.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1h")))
    .annotateKey({ description: "A pod that has waited for so long is replaced." }),
  classes: Schema.Array(PoolClass).pipe(Schema.withDecodingDefaultKey(Effect.sync(() => [])))
    .annotateKey({ description: "Groups of users with pods in waiting of their own; the first that fits counts." })
})
export type PoolConfig = typeof PoolConfig.Type
