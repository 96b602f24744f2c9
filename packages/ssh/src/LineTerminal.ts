/**
 * A session as somebody at a keyboard: lines in, lines out. With a terminal (pty-req, RFC 4254 §6.2) the client sends
 * every key and shows nothing by itself, so what is typed is edited and shown here; without one lines come whole.
 */
import { Deferred, Effect, type Scope, Semaphore, Stream } from "effect"
import { ChannelClosed, type SessionChannel, type SessionRequest, stdout } from "kuberun"
import * as LineEditor from "./LineEditor.ts"

export interface LineTerminal {
  /**
   * The lines that are entered, without their ends. Ends with ^C, ^D on an empty line, the client's end of input or the
   * channel. Run it once.
   */
  readonly lines: Stream.Stream<string, ChannelClosed>
  /**
   * Shows text above the line that is being typed. Control characters are left out, new lines excepted. Waits while the
   * client does not take output.
   */
  readonly print: (text: string) => Effect.Effect<void, ChannelClosed>
}

/**
 * Waits until the client has asked for a shell, and shows the prompt. Serves the channel's requests from then on:
 * terminal and window changes are granted, `exec`, subsystems and everything else are refused.
 */
export const lineTerminal = Effect.fn("lineTerminal")(function*(
  channel: SessionChannel,
  options: { readonly prompt?: string } = {}
): Effect.fn.Return<LineTerminal, ChannelClosed, Scope.Scope> {
  const prompt = LineEditor.printable(options.prompt ?? "")
  const started = yield* Deferred.make<void>()
  const screen = yield* Semaphore.make(1)
  let editor = LineEditor.empty
  /** Undefined without a terminal. */
  let columns: number | undefined
  let ended = false

  const serve = (request: SessionRequest): Effect.Effect<void> => {
    switch (request._tag) {
      case "Terminal":
      case "WindowChange":
        // A change of the window without a terminal changes nothing.
        if (request._tag === "Terminal" || columns !== undefined) columns = request.size.columns
        return request.reply(true)
      case "Shell":
        return Effect.flatMap(Deferred.succeed(started, undefined), request.reply)
      default:
        return request.reply(false)
    }
  }

  const write = (text: string) => Stream.run(Stream.make(stdout(Buffer.from(text))), channel.output)
  const row = (text: string) => columns === undefined || ended ? "" : LineEditor.row(prompt, text, columns)

  const take = (keys: string) =>
    Effect.suspend(() => {
      const [next, entered] = LineEditor.feed(editor, keys)
      const rows = entered.map((one) => `${row(one._tag === "Line" ? one.text : "")}\r\n`)
      editor = next
      ended = entered.some(({ _tag }) => _tag === "End")
      const shown = columns === undefined ? "" : rows.join("") + row(editor.text)
      return Effect.as(write(shown), entered)
    })

  const print = (text: string) =>
    Effect.suspend(() => {
      const printed = LineEditor.printable(text)
      if (columns === undefined) return write(`${printed}\n`)
      return write(`${LineEditor.clearRow}${printed.replaceAll("\n", "\r\n")}\r\n${row(editor.text)}`)
    })

  yield* Effect.forkScoped(Stream.runForEach(channel.requests, serve))
  yield* Effect.raceFirst(Deferred.await(started), Effect.andThen(channel.closed, new ChannelClosed()))
  yield* screen.withPermit(Effect.suspend(() => write(row(editor.text))))
  return {
    lines: channel.stdin.pipe(
      Stream.decodeText(),
      Stream.mapEffect((keys) => screen.withPermit(take(keys))),
      Stream.flattenIterable,
      Stream.takeUntil(({ _tag }) => _tag === "End"),
      Stream.filter((entered) => entered._tag === "Line"),
      Stream.map(({ text }) => text),
      // As from a file without a last new line. At a terminal it is somebody's who is gone and did not press Enter.
      Stream.concat(
        Stream.suspend(() => columns === undefined && editor.text !== "" ? Stream.make(editor.text) : Stream.empty)
      )
    ),
    print: (text) => screen.withPermit(print(text))
  }
})
