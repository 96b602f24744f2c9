/** What goes wrong on purpose with one exec or attach that has been accepted. */
import { Effect, FiberHandle, type Scope, Semaphore } from "effect"
import { type ExecFault } from "../faults/Faults.ts"
import { type ExecLink, type ExecSession, type Output } from "./ExecSession.ts"

/** What an API server says that does not reach the node's kubelet. */
export const dialFailure = "error dialing backend: dial tcp 127.0.0.1:10250: connect: connection refused"
/** A piece of output is the last one when no other follows it for so long; without a limit a dialogue would stop. */
const lastPieceAfter = "300 millis"

const cutAfter = (link: ExecLink, limit: number): ExecLink => {
  let left = limit
  return {
    ...link,
    write: Effect.fnUntraced(function*(output, bytes) {
      const piece = bytes.subarray(0, left)
      left -= piece.length
      const sent = yield* link.write(output, piece)
      if (left > 0) return sent
      yield* link.cut
      return false
    }),
    // What says less than that is cut when it ends.
    status: (status) => left > 0 ? link.status(status) : link.cut
  }
}

/** Holds back each piece for a while, so that the last one can be sent behind the status. */
const statusFirst = Effect.fnUntraced(function*(link: ExecLink): Effect.fn.Return<ExecLink, never, Scope.Scope> {
  const timer = yield* FiberHandle.make()
  // stdout and stderr come at the same time, and a piece may take its while.
  const oneAtATime = Semaphore.makeUnsafe(1).withPermits(1)
  let held: readonly [Output, Uint8Array] | undefined
  const flush = Effect.suspend(() => {
    const piece = held
    held = undefined
    return piece === undefined ? Effect.succeed(true) : link.write(...piece)
  })
  return {
    ...link,
    write: (output, bytes) =>
      oneAtATime(Effect.gen(function*() {
        const sent = yield* flush
        held = [output, bytes]
        yield* FiberHandle.run(timer, Effect.delay(oneAtATime(flush), lastPieceAfter))
        return sent
      })),
    status: (status) => oneAtATime(Effect.andThen(link.status(status), flush))
  }
})

/** The link as the fault makes it. */
export const faultyLink = (
  link: ExecLink,
  fault: ExecFault | undefined
): Effect.Effect<ExecLink, never, Scope.Scope> => {
  switch (fault?._tag) {
    case "Cut":
      return Effect.succeed(cutAfter(link, fault.afterBytes))
    case "NoStatus":
      return Effect.succeed({ ...link, status: () => Effect.void })
    case "StatusFirst":
      return statusFirst(link)
    default:
      return Effect.succeed(link)
  }
}

/** The session as the fault makes it. */
export const faultySession = (session: ExecSession, fault: ExecFault | undefined): ExecSession =>
  fault?._tag === "DialFails" ? { ...session, start: () => Effect.fail({ message: dialFailure }) } : session
