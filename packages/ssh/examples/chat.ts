/** A chat: `ssh -p 2222 yourname@127.0.0.1`, from as many terminals as you like. */
import { accepted, Authenticator, eachSession, generateKey, lineTerminal, SshServer } from "@kuberun/ssh"
import { Config, Context, Effect, Layer, PubSub, Stream } from "effect"

interface Said {
  readonly by: object
  readonly text: string
}

class Room extends Context.Service<Room, PubSub.PubSub<Said>>()("Room") {
  // Who falls a hundred lines behind misses the oldest: nobody waits for a terminal that stands still.
  static readonly layer = Layer.effect(Room, PubSub.sliding<Said>(100))
}

const chat = eachSession((channel, { username }) =>
  Effect.gen(function*() {
    const room = yield* Room
    const terminal = yield* lineTerminal(channel, { prompt: `${username}: ` })
    const say = (text: string) => PubSub.publish(room, { by: channel, text })
    const heard = yield* PubSub.subscribe(room)
    yield* terminal.print(`Welcome, ${username}. Ctrl-D leaves.`)
    yield* Effect.acquireRelease(say(`* ${username} is here`), () => say(`* ${username} has left`))
    const talk = Stream.runForEach(terminal.lines, (line) => say(`${username}: ${line}`))
    const listen = Stream.fromSubscription(heard).pipe(
      // What somebody says stands on their own screen already.
      Stream.filter(({ by }) => by !== channel),
      Stream.runForEach(({ text }) => terminal.print(text))
    )
    yield* Effect.raceFirst(talk, listen)
  })
)

// Whoever comes is let in by the name that they give: put your own decision here.
const everyone = Layer.succeed(Authenticator, { methods: ["password"], authenticate: () => Effect.succeed(accepted) })

const server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(2222))
  // New at each start, of which ssh warns who was here before: keep one in a file.
  const { privateKey } = yield* generateKey("chat")
  return SshServer.layer({ host: "127.0.0.1", port, hostKeys: [privateKey] }, chat)
}))

const main = Effect.gen(function*() {
  const { address } = yield* SshServer
  yield* Effect.logInfo(`ssh -p ${address.port} yourname@${address.host}`)
  return yield* Effect.never
})

Effect.runFork(main.pipe(Effect.provide(server), Effect.provide([Room.layer, everyone])))
