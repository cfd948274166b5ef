/** A connection that is closed under its borrower: because somebody asked for it, or because the pool's time to close is over. */
import { assert, describe, layer } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Latch, Scope, Stream } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { eventually } from "../support/Eventually.ts"
import { mostSeen } from "../support/MostSeen.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import {
  type Connection,
  connectionId,
  live,
  makePool,
  observer,
  type Pool,
  Server,
  serverWith,
  sessionsOf,
  single,
  titled
} from "./MySqlServer.ts"

type Revoke = (pool: Pool) => Effect.Effect<unknown, unknown>

const ways: Readonly<Record<string, Revoke>> = {
  recycle: (pool) => ConnectionPool.recycle(pool, { interrupt: true }),
  evict: (pool) => ConnectionPool.evict(pool, 1, { interrupt: true })
}

const sleeps = (connection: Connection) => connection.query("select sleep(60)")

/** What may be running when that happens. */
const cases: Readonly<Record<string, (connection: Connection) => Effect.Effect<unknown, unknown>>> = {
  "in a transaction": (c) => Effect.andThen(c.query("begin"), sleeps(c)),
  "a statement that is prepared": (c) => c.execute("select sleep(?)", [60]),
  "a second statement in line": (c) => Effect.all([sleeps(c), sleeps(c)], { concurrency: 2 }),
  "a stream whose reader is slow": (c) =>
    Stream.runForEach(c.stream("select seq from seq_1_to_10000000"), () =>
      Effect.andThen(Effect.sleep(500), Effect.fail("enough"))
    )
}

/** The most sessions that the server has had for a pool since this was asked for. */
const watchSessions = Effect.fnUntraced(function* (name: string) {
  const outside = yield* observer
  return yield* mostSeen(Effect.map(sessionsOf(outside, name), ({ length }) => length))
})

const isRunning = ({ command }: { readonly command: string }) => command === "Query" || command === "Execute"

/** Takes the connection of somebody who runs a statement, and gives what he was told. */
const revoked = Effect.fnUntraced(function* (
  name: string,
  work: (connection: Connection) => Effect.Effect<unknown, unknown>,
  revoke: Revoke = ways["recycle"]!
) {
  const outside = yield* observer
  const pool = yield* makePool(name)
  const before = yield* ConnectionPool.use(pool, connectionId)
  const mostSessions = yield* watchSessions(name)
  const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, work)))
  yield* eventually(sessionsOf(outside, name), (sessions) => sessions.some(isRunning))
  yield* revoke(pool)
  assert.notStrictEqual(yield* ConnectionPool.use(pool, connectionId), before)
  const error = yield* Effect.timeout(Fiber.join(borrower), "10 seconds")
  const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
  assert.deepStrictEqual({ acquired, inUse, released }, { acquired: 3, inUse: 0, released: 3 })
  assert.lengthOf(yield* sessionsOf(outside, name), 1)
  return { error, mostSessions: mostSessions() }
})

/** A pool with a connection that runs a statement, and one that is idle. */
const halfBusy = Effect.fnUntraced(function* (name: string) {
  const outside = yield* observer
  const pool = yield* makePool(name, { minConnections: 2, maxConnections: 2 })
  yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
  const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, sleeps)))
  yield* eventually(sessionsOf(outside, name), (sessions) => sessions.some(isRunning))
  return { borrower, pool }
})

describe.skipIf(unavailable !== undefined)(titled("a MariaDB session that is taken from its borrower"), () => {
  layer(
    serverWith(),
    live
  )((it) => {
    for (const [name, revoke] of Object.entries(ways)) {
      it.effect(`fails what runs on it with the driver's error, and the next one gets another: ${name}`, () =>
        Effect.gen(function* () {
          const { error, mostSessions } = yield* revoked(name, sleeps, revoke)
          assert.strictEqual(isSqlError(error) && error.reason._tag, "ConnectionError")
          assert.strictEqual(mostSessions, 1)
        })
      )
    }

    for (const [name, work] of Object.entries(cases)) {
      it.effect(`is ended on the server before another is opened: ${name}`, () =>
        Effect.gen(function* () {
          const { mostSessions } = yield* revoked(name, work)
          assert.strictEqual(mostSessions, 1)
        })
      )
    }

    it.effect("is gone when its pool has closed after the drain", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const scope = yield* Scope.make()
        const pool = yield* Scope.provide(makePool("drained", { ...single, drainTimeout: 50 }), scope)
        yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, sleeps)))
        yield* eventually(sessionsOf(outside, "drained"), (sessions) => sessions.some(isRunning))
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* sessionsOf(outside, "drained"), [])
      })
    )

    it.effect("takes one connection more to end many", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("many", { minConnections: 0, maxConnections: 20, drainTimeout: 50 })
        for (let n = 0; n < 20; n++) yield* Effect.forkChild(Effect.exit(ConnectionPool.use(pool, sleeps)))
        yield* eventually(sessionsOf(outside, "many"), (sessions) => sessions.filter(isRunning).length === 20)
        const mostSessions = yield* watchSessions("many")
        const mostRequests = yield* watchSessions("many (cancel)")
        yield* ConnectionPool.drain(pool)
        assert.deepStrictEqual(yield* sessionsOf(outside, "many"), [])
        assert.isAtMost(mostSessions(), 20)
        assert.strictEqual(mostRequests(), 1)
      })
    )

    it.effect("costs no request where no statement is running", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const proxy = yield* TcpProxy.make(port)
        const pool = yield* makePool("quiet", single, { port: proxy.port })
        const began = yield* Latch.make()
        yield* Effect.forkChild(
          ConnectionPool.use(pool, (c) =>
            c.query("begin").pipe(Effect.andThen(began.open), Effect.andThen(Effect.never))
          )
        )
        yield* began.await
        yield* ways["recycle"]!(pool)
        yield* ConnectionPool.use(pool, connectionId)
        assert.lengthOf(proxy.attempts, 2)
      })
    )

    it.effect("holds its place for a second at most where the server is frozen, and its borrower not at all", () =>
      Effect.gen(function* () {
        const server = yield* Server
        const { borrower, pool } = yield* halfBusy("frozen")
        yield* Effect.acquireRelease(server.freeze, () => server.thaw)
        const revoking = Effect.andThen(ways["recycle"]!(pool), Fiber.join(borrower))
        const [borrowers] = yield* Effect.timed(revoking)
        assert.isBelow(Duration.toMillis(borrowers), 700)
        const [pools] = yield* Effect.timed(eventually(ConnectionPool.status(pool), ({ closed }) => closed === 2))
        assert.isBelow(Duration.toMillis(pools), 1800)
        yield* server.thaw
      })
    )
  })
})
