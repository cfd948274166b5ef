/**
 * What it costs to be watched: the same borrowing with metrics, status, history and leak scan on and somebody scraping each second, with
 * ten pages open besides, and with nothing of it.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { ConnectionPool, PoolRegistry } from "effect-pool"
import { PoolHttp } from "effect-pool/http"
import { spawn } from "node:child_process"
import { createServer } from "node:http"
import * as Contenders from "./Contenders.ts"
import { type Contender, type Contest, inSequence } from "./Contest.ts"

/** Long enough for several looks of everything that looks once a second. */
const runMillis = 3000

type Borrow = <A>(pool: ConnectionPool.ConnectionPool<A>) => Effect.Effect<unknown, unknown>

const use: Borrow = (pool) => ConnectionPool.use(pool, () => Effect.void)

const acquire: Borrow = (pool) => Effect.scoped(ConnectionPool.acquire(pool))

/** How long a lease takes, in nanoseconds, over some seconds. */
const timed = Effect.fnUntraced(function* (borrow: Borrow, overrides: object) {
  const pool = yield* Contenders.makeOurs(10, Contenders.plain, overrides)
  const once = borrow(pool)
  const batch = inSequence(5000, () => once)
  yield* batch
  const start = performance.now()
  let batches = 0
  while (performance.now() - start < runMillis) {
    yield* batch
    // Whoever serves and looks has his turn, as in a program that waits for its server.
    yield* Effect.promise(() => new Promise(setImmediate))
    batches++
  }
  return ((performance.now() - start) * 1e6) / (batches * 5000)
})

/** Readers in a process of their own, where reading costs us nothing. */
const readers = (url: string, pages: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const read = `const read = async (path) => { for await (const _ of (await fetch(${JSON.stringify(url)} + path)).body); }
        for (let n = 0; n < ${pages}; n++) read("/pools/contender/watch").catch(() => {})
        setInterval(() => read("/metrics").catch(() => {}), 1000)`
      return spawn(process.execPath, ["--input-type=module", "-e", read], { stdio: "ignore" })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

type Routes = ReturnType<typeof PoolHttp.layer>

/** In a program that has a server either way: only what that serves differs, and not the fiber's context. */
const served = <A>(routes: Routes, program: Effect.Effect<A, never, HttpServer.HttpServer | Scope.Scope>) =>
  program.pipe(
    Effect.provide(
      HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(
          NodeHttpServer.layer(createServer, {
            port: 0,
            host: "127.0.0.1",
            gracefulShutdownTimeout: Duration.millis(100)
          })
        )
      )
    ),
    alone
  )

const watched = (borrow: Borrow, pages: number) =>
  served(
    PoolHttp.layer(),
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      yield* readers(HttpServer.formatAddress(address), pages)
      return yield* timed(borrow, { name: "contender" })
    })
  )

const unwatched = (borrow: Borrow) =>
  served(HttpRouter.add("GET", "/", HttpServerResponse.empty()), timed(borrow, { leakThreshold: "Infinity" }))

/** Nothing that is registered here is seen by the others. */
const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

const contenders = (borrow: Borrow): ReadonlyArray<Contender> => {
  const once = <E>(run: Effect.Effect<number, E>): Effect.Effect<number> =>
    Effect.orDie(Effect.retry(run, Schedule.recurs(1)))
  return [
    { name: "everything on, scraped each second", run: once(Effect.scoped(watched(borrow, 0))) },
    { name: "everything on, and ten pages open", run: once(Effect.scoped(watched(borrow, 10))) },
    { name: "nothing on", run: once(Effect.scoped(unwatched(borrow))) }
  ]
}

/** What is measured of being watched. */
export const observationContests = (isQuick: boolean): Effect.Effect<ReadonlyArray<Contest>> =>
  Effect.succeed(
    [
      { name: "use, watched", borrow: use },
      { name: "scoped acquire, watched", borrow: acquire }
    ].map(({ borrow, name }): Contest => ({
      name,
      unit: "ns per operation",
      operations: 1,
      rounds: isQuick ? { warmup: 0, measured: 3 } : { warmup: 1, measured: 7 },
      contenders: contenders(borrow),
      remark: "Pages and scraper run in a process of their own, on the same two processors."
    }))
  )
