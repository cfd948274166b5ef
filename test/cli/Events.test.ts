import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestConsole } from "effect/testing"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { sse } from "../../src/http/Histories.ts"
import { PoolEvent } from "../../src/PoolEvent.ts"
import { PoolReport } from "../../src/PoolReport.ts"
import { eventually } from "../support/Eventually.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { command, run } from "./CommandLine.ts"
import { listen, pool, serve, withPools } from "./PoolServers.ts"
import { at, reportWith } from "./Reports.ts"

const note = (to: ConnectionPool.ConnectionPool<string>, action: string) =>
  ConnectionPool.noteOperatorAction(to, { actor: "ada", action })

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(PoolEvent))

const eventsIn = (written: ReadonlyArray<string>): ReadonlyArray<PoolEvent> =>
  written
    .join("")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => decode(line))

/** What operators have asked for, in the order in which it was printed. */
const actionsIn = (written: ReadonlyArray<string>): ReadonlyArray<string> =>
  eventsIn(written).flatMap((event) => (event._tag === "OperatorAction" ? [event.action] : []))

describe("effect-pool events", () => {
  it.live("says what has happened in the only pool, one line each", () =>
    withPools(
      Effect.gen(function* () {
        const orders = yield* pool("orders")
        yield* ConnectionPool.use(orders, () => Effect.void)
        yield* note(orders, "look here")
        const { url } = yield* serve()
        const { error, exitCode, out } = yield* run(["events", url])
        assert.deepStrictEqual([exitCode, error], [0, ""])
        assert.match(out, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} {3}pool made, 1 to 10 connections\n/)
        assert.match(out, / {3}acquire 1 got connection 1 as lease 1 after .* ms\n/)
        assert.match(out, / {3}ada: look here\n$/)
        const facts = yield* run(["events", url, "--facts"])
        assert.notInclude(facts.out, "acquire 1")
        assert.include(facts.out, "pool made")
      })
    )
  )

  it.live("prints each event as JSON with --json", () =>
    withPools(
      Effect.gen(function* () {
        yield* note(yield* pool("orders"), "look\u202ehere")
        const { url } = yield* serve()
        const { out } = yield* run(["events", url, "orders", "--json"])
        assert.deepStrictEqual(actionsIn([out]), ["look\u202ehere"])
        assert.match(out, /^[^\p{Cf}]+$/u)
      })
    )
  )

  it.live("names the pools if there are several and none is named", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        yield* pool("audit\nlog")
        const { url } = yield* serve()
        const { error, exitCode, out } = yield* run(["events", url])
        assert.deepStrictEqual([exitCode, out], [1, ""])
        assert.match(error, /say which pool: http:\S+ has 2\n +orders\n +audit log/)
      })
    )
  )

  it.live("follows across a break without a gap or a repeat, and ends with the pool", () =>
    withPools(
      Effect.gen(function* () {
        const life = yield* Scope.fork(yield* Effect.scope)
        const orders = yield* Scope.provide(pool("orders"), life)
        const { port } = yield* serve()
        const proxy = yield* TcpProxy.make(port)
        const written: Array<string> = []
        const errors = yield* Effect.gen(function* () {
          const args = ["events", `http://127.0.0.1:${proxy.port}`, "--follow", "--json"]
          const following = yield* Effect.forkChild(command(args, { written }))
          yield* note(orders, "one")
          yield* eventually(
            Effect.sync(() => actionsIn(written)),
            ({ length }) => length === 1
          )
          yield* proxy.cut("reset")
          yield* proxy.reset
          yield* note(orders, "two")
          yield* eventually(TestConsole.errorLines, ({ length }) => length > 0)
          yield* note(orders, "three")
          yield* proxy.serveNewcomers
          yield* eventually(
            Effect.sync(() => actionsIn(written)),
            ({ length }) => length >= 3
          )
          yield* note(orders, "four")
          yield* Scope.close(life, Exit.void)
          yield* Fiber.join(following)
          return yield* TestConsole.errorLines
        }).pipe(Effect.provide(TestConsole.layer, { local: true }))
        assert.deepStrictEqual(actionsIn(written), ["one", "two", "three", "four"])
        assert.strictEqual(eventsIn(written).at(-1)?._tag, "PoolClosed")
        assert.strictEqual(errors.length, 1)
        assert.match(String(errors[0]), /^cannot reach http:\S+: the connection was \w+; trying again each second$/)
      })
    )
  )

  it.live("says where it goes on, and begins anew with a pool of the same name that was made since", () =>
    withPools(
      Effect.gen(function* () {
        const report = yield* reportWith()
        const made = [1, 1, 2]
        const attempts: Array<string | undefined> = []
        const json = Schema.encodeSync(PoolReport)
        const routes = HttpRouter.addAll([
          HttpRouter.route(
            "GET",
            "/pools/orders",
            Effect.sync(() => HttpServerResponse.jsonUnsafe({ ...json(report), since: made[attempts.length] }))
          ),
          HttpRouter.route(
            "GET",
            "/pools/orders/events/stream",
            Effect.gen(function* () {
              const { headers } = yield* HttpServerRequest.HttpServerRequest
              attempts.push(headers["last-event-id"])
              const text = [
                sse("event", JSON.stringify({ _tag: "PoolReady", at }), 7) +
                  sse("event", '{"_tag":"Unheard\\u001b"}', 8),
                sse("event", JSON.stringify({ _tag: "PoolReady", at }), 9),
                sse("event", JSON.stringify({ _tag: "PoolClosed", at }), 1)
              ][attempts.length - 1]
              return HttpServerResponse.stream(Stream.encodeText(Stream.make(text ?? "")), {
                contentType: "text/event-stream"
              })
            })
          )
        ])
        const { url } = yield* listen(routes)
        const { exitCode, out } = yield* run(["events", url, "orders", "--follow"])
        assert.strictEqual(exitCode, 0)
        assert.deepStrictEqual(attempts, [undefined, "8", undefined])
        const [, unheard] = out.split("\n")
        assert.strictEqual(unheard, '{"_tag":"Unheard\\u001b"}', "what this version does not know is shown as it came")
        assert.strictEqual(out.trimEnd().split("\n").length, 4)
      })
    )
  )

  it.live("ends with a message if following cannot begin", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        const { url } = yield* serve()
        const unknown = yield* run(["events", url, "nix", "--follow"])
        assert.strictEqual(unknown.exitCode, 1)
        assert.include(unknown.error, "there are: orders")
      })
    )
  )
})
