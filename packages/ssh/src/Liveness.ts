/**
 * What keeps a long connection sound: signs of life, and new keys in time. Both complete only when they gave the
 * connection up.
 */
import { Clock, Duration, Effect, Option } from "effect"
import type { Link } from "./Link.ts"
import * as Messages from "./Messages.ts"
import type { SshLimits } from "./SshLimits.ts"

/**
 * Asks a silent client for a sign of life at each interval (OpenSSH's ClientAliveInterval), and destroys the
 * connection when none came for `clientAliveCountMax` intervals: the network died silently, or the client stands
 * still. A client from which reading is held because it overran us counts as silent. Time in which this process stood
 * still itself (a machine that slept, SIGSTOP) does not count: what the client said meanwhile is still to be read.
 */
export const clientAlive = (link: Link, limits: SshLimits): Effect.Effect<void> =>
  Effect.gen(function*() {
    const interval = Duration.toMillis(limits.clientAliveInterval)
    // With one interval a client could never answer.
    const most = Math.max(2, limits.clientAliveCountMax)
    let asked = 0
    let heardAt = link.heardAt()
    let stoodStill = 0
    let due = yield* Clock.currentTimeMillis
    while (true) {
      const now = yield* Clock.currentTimeMillis
      const before = heardAt === link.heardAt() ? stoodStill : 0
      heardAt = link.heardAt()
      stoodStill = before + Math.max(0, now - Math.max(due, heardAt))
      const silent = now - heardAt - stoodStill
      if (silent < interval) asked = 0
      if (silent >= interval * most) break
      if (silent >= interval * (asked + 1)) {
        asked += 1
        link.send(Messages.keepalive)
      }
      const pause = Math.max(1, interval * (asked + 1) - silent)
      due = now + pause
      yield* Effect.sleep(pause)
    }
    yield* Effect.logInfo(`the client gave no sign of life for ${Duration.format(Duration.millis(interval * most))}`)
    link.destroy()
  })

/**
 * Begins a key exchange by bytes and by time (RFC 4253 §9), which ssh2 never does, and cuts a client that does not
 * finish one: nothing else can be sent to it until it does.
 */
export const freshKeys = (link: Link, limits: SshLimits): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (true) {
      const trafficBefore = link.traffic()
      const due = () => link.exchangingKeys() || link.traffic() - trafficBefore >= limits.rekeyBytes
      yield* Effect.timeoutOption(link.activity.until(due), limits.rekeyInterval)
      if (!link.exchangingKeys()) link.rekey()
      const finished = yield* link.activity.until(() => !link.exchangingKeys()).pipe(
        Effect.timeoutOption(limits.rekeyGrace)
      )
      if (Option.isNone(finished)) break
    }
    yield* Effect.logInfo("the client did not finish a key exchange in time")
    link.destroy()
  })
