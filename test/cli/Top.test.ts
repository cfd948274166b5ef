import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Option, Queue, Terminal } from "effect"
import { TestConsole } from "effect/testing"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { eventually } from "../support/Eventually.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { command, run } from "./CommandLine.ts"
import { pool, serve, withPools } from "./PoolServers.ts"

/** A terminal that keeps what is drawn, with keys and sizes that a test decides about. */
const fakeTerminal = Effect.gen(function* () {
  const drawn: Array<string> = []
  const keys = yield* Queue.make<Terminal.UserInput, Cause.Done>()
  const sizes = yield* Queue.make<Terminal.Size, Cause.Done>()
  yield* Queue.offer(sizes, { columns: 80, rows: 24 })
  const terminal = Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Effect.succeed(sizes),
    readInput: Effect.succeed(keys),
    readLine: Effect.never,
    display: (text) =>
      Effect.sync(() => {
        drawn.push(text)
      })
  })
  const press = (name: string, ctrl = false) =>
    Queue.offer(keys, { input: Option.some(name), key: { name, ctrl, meta: false, shift: false } })
  /** The last screen, line by line. */
  const screen = Effect.sync(() => (drawn.findLast((text) => text.includes("\x1b[H")) ?? "").split("\r\n"))
  const shows = (text: string) => eventually(screen, (lines) => lines.some((line) => line.includes(text)))
  return { drawn, press, resize: (size: Terminal.Size) => Queue.offer(sizes, size), screen, shows, terminal }
})

const isGivenBack = (drawn: ReadonlyArray<string>): void => {
  assert.isTrue(drawn[0]?.startsWith("\x1b[?1049h\x1b[?25l"), "the other screen, without a cursor")
  assert.isTrue(drawn.at(-1)?.endsWith("\x1b[?25h\x1b[?1049l"), "the cursor and the screen as they were")
}

describe("effect-pool top on a terminal", () => {
  it.live("shows the first pool, goes to others by key, and gives the terminal back", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("localhost:5432/orders")
        const audit = yield* pool("audit")
        const { url } = yield* serve()
        const { drawn, press, resize, screen, shows, terminal } = yield* fakeTerminal
        const showing = yield* Effect.forkChild(command(["top", url], { terminal }))
        yield* shows("✓ pass  ready  healthy")
        const first = yield* screen
        assert.strictEqual(first.length, 24)
        assert.include(first[0], "1 localhost:5432/orders")
        yield* ConnectionPool.noteOperatorAction(audit, { actor: "ada", action: "look" })
        yield* press("tab")
        yield* shows("ada: look")
        yield* resize({ columns: 60, rows: 10 })
        yield* eventually(screen, ({ length }) => length === 10)
        yield* press("1")
        yield* eventually(screen, (lines) => !lines.some((line) => line.includes("ada: look")))
        yield* press("q")
        yield* Fiber.join(showing)
        isGivenBack(drawn)
      })
    )
  )

  it.live("gives the terminal back on Ctrl-C, and when it is interrupted from outside", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        const { url } = yield* serve()
        const one = yield* fakeTerminal
        const quitting = yield* Effect.forkChild(command(["top", url], { terminal: one.terminal }))
        yield* one.shows("orders")
        yield* one.press("c", true)
        yield* Fiber.join(quitting)
        isGivenBack(one.drawn)
        const other = yield* fakeTerminal
        const killed = yield* Effect.forkChild(command(["top", url], { terminal: other.terminal }))
        yield* other.shows("orders")
        yield* Fiber.interrupt(killed)
        isGivenBack(other.drawn)
      })
    )
  )

  it.live("leaves the terminal alone if there is nothing to show", () =>
    withPools(
      Effect.gen(function* () {
        const { url } = yield* serve()
        const { drawn, terminal } = yield* fakeTerminal
        const error = yield* Effect.flip(command(["top", url], { terminal })).pipe(
          Effect.provide(TestConsole.layer, { local: true })
        )
        assert.include(String(error), "has no pools")
        assert.deepStrictEqual(drawn, [])
      })
    )
  )
})

describe("effect-pool top elsewhere", () => {
  it.live("prints a line each second, says when the server is gone, and goes on when it is back", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        const { port } = yield* serve()
        const proxy = yield* TcpProxy.make(port)
        const written: Array<string> = []
        const lines = Effect.sync(() => written.join("").trimEnd().split("\n"))
        const isLive = (line: string | undefined) =>
          /^\d\d:\d\d:\d\d orders {2}✓ pass {2}ready healthy/.test(line ?? "")
        yield* Effect.forkScoped(command(["top", `http://127.0.0.1:${proxy.port}`, "orders"], { written }))
        yield* eventually(lines, ([first]) => isLive(first))
        yield* proxy.cut("reset")
        yield* proxy.reset
        const gone = yield* eventually(lines, (all) => all.at(-1)?.includes("trying again") ?? false)
        assert.match(gone.at(-1)!, /^\d\d:\d\d:\d\d orders {2}! cannot reach http:\S+: the connection was \w+; trying/)
        yield* proxy.serveNewcomers
        yield* eventually(lines, (all) => isLive(all.at(-1)))
      })
    )
  )

  it.live("prints one second with --once, and ends", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        const { url } = yield* serve()
        const { error, exitCode, out } = yield* run(["top", url, "--once"])
        assert.deepStrictEqual([exitCode, error], [0, ""])
        assert.include(out, "✓ pass  ready  healthy\n")
        assert.include(out, "pool made, 1 to 10 connections\n")
        // oxlint-disable-next-line no-control-regex -- there is to be none
        assert.notMatch(out, /\x1b/)
      })
    )
  )

  it.live("asks which pool, as no key can go to another", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        yield* pool("audit")
        const { url } = yield* serve()
        const several = yield* run(["top", url, "--once"])
        assert.deepStrictEqual([several.exitCode, several.out], [1, ""])
        assert.include(several.error, "say which pool")
        const unknown = yield* run(["top", url, "nix", "--once"])
        assert.strictEqual(unknown.exitCode, 1)
        assert.include(unknown.error, "there are: orders, audit")
      })
    )
  )
})
