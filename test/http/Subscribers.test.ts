/** Those who watch a pool may be many, may not read, and may vanish: the pool does not notice, and nothing piles up. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Metric, Queue, type Scope, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { ConnectionPool, PoolRegistry } from "../../src/index.ts"
import { PoolHttp } from "../../src/http/index.ts"
import { Histories } from "../../src/http/Histories.ts"
import { eventually } from "../support/Eventually.ts"
import { FakeServer } from "../support/FakeServer.ts"

/** The answers that are being given, as Node has them. */
type Answers = Array<http.ServerResponse>

/** The routes on a socket, with pools of their own. */
const withServer = <A, E>(
  options: PoolHttp.Options,
  story: (url: string, answers: Answers) => Effect.Effect<A, E, Scope.Scope>
) => {
  const answers: Answers = []
  const listener = http.createServer((_, response) => void answers.push(response))
  return Effect.gen(function* () {
    yield* HttpServer.HttpServer
    return yield* story(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`, answers)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      HttpRouter.serve(PoolHttp.layer(options), { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(
          NodeHttpServer.layer(() => listener, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
        )
      )
    ),
    Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provide(Layer.fresh(Logger.layer([])))
  )
}

/** Asks, and reads nothing of the answer but its head. */
const ask = (url: string): Effect.Effect<http.IncomingMessage, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<readonly [http.ClientRequest, http.IncomingMessage]>((resume) => {
        const request = http.get(url, { agent: false }, (response) => {
          response.pause()
          resume(Effect.succeed([request, response]))
        })
        request.on("error", () => undefined)
      }),
      ([request]) => Effect.sync(() => request.destroy())
    ),
    ([, response]) => response
  )

const lend = <A>(pool: ConnectionPool.ConnectionPool<A>, times: number) =>
  Effect.replicateEffect(
    ConnectionPool.use(pool, () => Effect.void),
    times,
    { discard: true }
  )

const make = () => ConnectionPool.make(new FakeServer().complete, { name: "orders", maxConnections: 2 })

describe("a thousand subscribers", () => {
  it.live("are as many as may watch, and the others are told to come back", () =>
    withServer({ maxWatchers: 100 }, (url) =>
      Effect.gen(function* () {
        const pool = yield* make()
        yield* Effect.scoped(
          Effect.gen(function* () {
            const asked = Effect.forEach(Array(1000).keys(), () => ask(`${url}/pools/orders/watch`), {
              concurrency: 50
            })
            const responses = yield* asked
            assert.lengthOf(
              responses.filter(({ statusCode }) => statusCode === 200),
              100
            )
            const refused = responses.filter(({ statusCode }) => statusCode === 503)
            assert.lengthOf(refused, 900)
            assert.isTrue(refused.every(({ headers }) => headers["content-type"] === "application/problem+json"))
            yield* lend(pool, 1000)
          })
        )
        // All of them vanish at once.
        yield* eventually(
          Effect.scoped(Effect.map(ask(`${url}/pools/orders/watch`), ({ statusCode }) => statusCode)),
          (status) => status === 200
        )
        const { inUse, waiting } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
      })
    )
  )

  it.live("are sent the same second, each of them, where so many may watch", () =>
    withServer({ maxWatchers: 1000 }, (url) =>
      Effect.gen(function* () {
        yield* make()
        const responses = yield* Effect.forEach(Array(1000).keys(), () => ask(`${url}/pools/orders/watch`), {
          concurrency: 50
        })
        const frames = yield* Effect.forEach(
          responses,
          (response) =>
            Effect.callback<string>((resume) => {
              let text = ""
              response.setEncoding("utf8").on("data", (part: string) => {
                text += part
                const frame = /event: frame\ndata: (.*)\n\n/.exec(text)?.[1]
                if (frame === undefined) return
                response.removeAllListeners("data").resume()
                resume(Effect.succeed(frame))
              })
              response.resume()
            }),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(frames, 1000)
        // Made once for all of them, not a thousand times: they were all there within a second or a few.
        assert.isBelow(new Set(frames).size, 10)
      })
    )
  )
})

describe("a subscriber that does not read", () => {
  it.effect("finds the last seconds when it reads again, and not all that it has slept through", () =>
    Effect.gen(function* () {
      const registry = PoolRegistry.make()
      yield* Effect.gen(function* () {
        yield* ConnectionPool.make(new FakeServer().complete, {
          name: "orders",
          startup: "background",
          drainTimeout: 0
        })
        const histories = yield* Histories
        const stream = yield* histories.watch(registry.entries()[0]!)
        yield* TestClock.adjust("60 seconds")
        const read = yield* Queue.unbounded<string>()
        yield* Effect.forkScoped(Stream.runForEach(stream, (text) => Queue.offer(read, text)))
        yield* TestClock.adjust("1 milli")
        const [history, ...frames] = yield* Queue.takeAll(read)
        assert.match(history, /^event: history/)
        const seconds = frames.map((frame) => /"row":\[(\d+)/.exec(frame)?.[1])
        assert.deepStrictEqual(seconds, ["57000", "58000", "59000", "60000"])
      }).pipe(Effect.provide(Histories.layer), Effect.provideService(PoolRegistry.PoolRegistry, registry))
    }).pipe(Effect.scoped)
  )

  it.live("of events costs no more memory however much happens, and is told how much it has missed", () =>
    withServer({}, (url, answers) =>
      Effect.gen(function* () {
        const pool = yield* make()
        const response = yield* ask(`${url}/pools/orders/events/stream`)
        const answer = answers.at(-1)!
        const borrow = Effect.andThen(lend(pool, 5000), Effect.sleep("20 millis"))
        // Sockets keep some megabytes: then the server has to wait for the reader.
        yield* Effect.repeat(borrow, { until: () => answer.writableNeedDrain, times: 2000 })
        assert.isTrue(answer.writableNeedDrain)
        const held = answer.writableLength
        yield* Effect.repeat(borrow, { times: 20 })
        assert.strictEqual(answer.writableLength, held)
        assert.isBelow(held, 2 ** 20)
        const missed = yield* Effect.callback<number>((resume) => {
          let text = ""
          response.setEncoding("utf8").on("data", (part: string) => {
            text = text.slice(-500) + part
            const found = /"EventsMissed".*?"count":(\d+)/.exec(text)?.[1]
            if (found !== undefined && Number(found) > 100_000) resume(Effect.succeed(Number(found)))
          })
          response.resume()
        })
        assert.isAbove(missed, 100_000)
      })
    )
  )
})
