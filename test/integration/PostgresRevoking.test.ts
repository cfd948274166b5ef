/** A connection that is closed under its borrower: because somebody asked for it, or because the pool's time to close is over. */
import { assert, describe, layer } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Latch, Scope, Stream } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import * as fs from "node:fs"
import * as path from "node:path"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as Certificate from "../support/Certificate.ts"
import { root } from "../support/DocPages.ts"
import { eventually } from "../support/Eventually.ts"
import { mostSeen } from "../support/MostSeen.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import {
  backendPid,
  type Connection,
  live,
  makePool,
  observer,
  Server,
  serverWith,
  sessionsOf,
  single
} from "./Server.ts"

type Revoke = (pool: ConnectionPool.ConnectionPool<Connection>) => Effect.Effect<unknown, unknown>

const ways: Readonly<Record<string, Revoke>> = {
  recycle: (pool) => ConnectionPool.recycle(pool, { interrupt: true }),
  evict: (pool) => ConnectionPool.evict(pool, 1, { interrupt: true })
}

interface Case {
  readonly name: string
  readonly revoke?: Revoke
  readonly work: (connection: Connection) => Effect.Effect<unknown, unknown>
  readonly config?: Input
  readonly options?: Postgres.Options
}

const sleeps = (connection: Connection) => connection.query("select pg_sleep(60)")

/** The most sessions that the server has had for a pool since this was asked for. */
const watchSessions = Effect.fnUntraced(function* (name: string) {
  const outside = yield* observer
  return yield* mostSeen(Effect.map(sessionsOf(outside, name), ({ length }) => length))
})

/** Takes the connection of somebody who runs a statement, and gives what he was told. */
const revoked = Effect.fnUntraced(function* ({
  config = single,
  name,
  options,
  revoke = ways["recycle"]!,
  work
}: Case) {
  const outside = yield* observer
  const pool = yield* makePool(name, config, options)
  const before = yield* ConnectionPool.use(pool, backendPid)
  const mostSessions = yield* watchSessions(name)
  const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, work)))
  yield* eventually(sessionsOf(outside, name), ([session]) => session?.state === "active")
  yield* revoke(pool)
  assert.notStrictEqual(yield* ConnectionPool.use(pool, backendPid), before)
  const error = yield* Effect.timeout(Fiber.join(borrower), "10 seconds")
  const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
  assert.deepStrictEqual({ acquired, inUse, released }, { acquired: 3, inUse: 0, released: 3 })
  assert.lengthOf(yield* sessionsOf(outside, name), 1)
  return { error, mostSessions: mostSessions() }
})

/** What may be running when that happens. */
const cases: ReadonlyArray<Case> = [
  { name: "in a transaction", work: (c) => Effect.andThen(c.query("begin"), sleeps(c)) },
  { name: "a second statement in line", work: (c) => Effect.all([sleeps(c), sleeps(c)], { concurrency: 2 }) },
  {
    name: "a stream whose reader is slow",
    work: (c) =>
      Stream.runForEach(c.stream("select generate_series(1, 10000000)"), () =>
        Effect.andThen(Effect.sleep(500), Effect.fail("enough"))
      )
  },
  { name: "a pinned connection", work: (c) => Effect.scoped(Effect.flatMap(c.pin, sleeps)) },
  { name: "a connection that may be shared", options: { driver: { multiplex: true } }, work: sleeps }
]

/** A pool with a connection that runs a statement, and one that is idle. */
const halfBusy = Effect.fnUntraced(function* (name: string) {
  const outside = yield* observer
  const pool = yield* makePool(name, { minConnections: 2, maxConnections: 2 })
  yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
  const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, sleeps)))
  yield* eventually(sessionsOf(outside, name), (sessions) => sessions.some(({ state }) => state === "active"))
  return { borrower, outside, pool }
})

layer(serverWith(), live)("a PostgreSQL session that is taken from its borrower", (it) => {
  for (const [name, revoke] of Object.entries(ways)) {
    it.effect(`fails what runs on it with the driver's error, and the next one gets another: ${name}`, () =>
      Effect.gen(function* () {
        const { error, mostSessions } = yield* revoked({ name, revoke, work: sleeps })
        assert.isTrue(isSqlError(error))
        // Not that the statement was cancelled: nobody has a turn to go on after it.
        assert.include(String(error), "Connection is closed")
        assert.strictEqual(mostSessions, 1)
      })
    )
  }

  for (const each of cases) {
    it.effect(`is ended on the server before another is opened: ${each.name}`, () =>
      Effect.gen(function* () {
        const { mostSessions } = yield* revoked(each)
        assert.strictEqual(mostSessions, 1)
      })
    )
  }

  it.effect("goes on with what is pipelined behind the statement, for which the pool does not wait", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("pipelined", single, { driver: { multiplex: true } })
      const work = (c: Connection) => Effect.all([sleeps(c), c.query("select pg_sleep(2.5)")], { concurrency: 2 })
      yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, work)))
      yield* eventually(sessionsOf(outside, "pipelined"), ([session]) => session?.state === "active")
      yield* ways["recycle"]!(pool)
      yield* ConnectionPool.use(pool, backendPid)
      const [first] = yield* sessionsOf(outside, "pipelined")
      assert.deepStrictEqual([first?.state, first?.query], ["active", "select pg_sleep(2.5)"])
    })
  )

  it.effect("is gone when its pool has closed after the drain", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(makePool("drained", { ...single, drainTimeout: 50 }), scope)
      yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, sleeps)))
      yield* eventually(sessionsOf(outside, "drained"), ([session]) => session?.state === "active")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* sessionsOf(outside, "drained"), [])
    })
  )

  it.effect("costs no request where no statement is running", () =>
    Effect.gen(function* () {
      const { port } = yield* Server
      const proxy = yield* TcpProxy.make(port)
      const pool = yield* makePool("quiet", single, { port: proxy.port })
      const began = yield* Latch.make()
      yield* Effect.forkChild(
        ConnectionPool.use(pool, (c) => c.query("begin").pipe(Effect.andThen(began.open), Effect.andThen(Effect.never)))
      )
      yield* began.await
      yield* ways["recycle"]!(pool)
      yield* ConnectionPool.use(pool, backendPid)
      assert.lengthOf(proxy.attempts, 2)
    })
  )

  it.effect(
    "holds its place for a second where the server is frozen, an idle one not at all, and its borrower neither",
    () =>
      Effect.gen(function* () {
        const server = yield* Server
        const { borrower, pool } = yield* halfBusy("frozen")
        yield* Effect.acquireRelease(server.freeze, () => server.thaw)
        const atOnce = Effect.gen(function* () {
          yield* ways["recycle"]!(pool)
          yield* Fiber.join(borrower)
          yield* eventually(ConnectionPool.status(pool), ({ closed }) => closed === 1)
        })
        const [others] = yield* Effect.timed(atOnce)
        assert.isBelow(Duration.toMillis(others), 700)
        const [busy] = yield* Effect.timed(eventually(ConnectionPool.status(pool), ({ closed }) => closed === 2))
        assert.isBelow(Duration.toMillis(busy), 1800)
        yield* server.thaw
      })
  )
})

/** A client that is gone without a goodbye, as a process that is killed, while its statement runs. */
const vanished = Effect.fnUntraced(function* (name: string, sql: string, startupParameters = {}) {
  const { port } = yield* Server
  const outside = yield* observer
  const proxy = yield* TcpProxy.make(port)
  const pool = yield* makePool(name, { ...single, minConnections: 0 }, { port: proxy.port, startupParameters })
  const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, (connection) => connection.query(sql))))
  yield* eventually(sessionsOf(outside, name), ([session]) => session?.state === "active")
  yield* proxy.reset
  yield* Fiber.join(borrower)
  return sessionsOf(outside, name)
})

layer(serverWith(), live)("a PostgreSQL session whose client has vanished", (it) => {
  it.effect("ends with the statement that it runs", () =>
    Effect.gen(function* () {
      const sessions = yield* vanished("vanished", "select pg_sleep(1)")
      assert.lengthOf(yield* sessions, 1)
      yield* eventually(sessions, ({ length }) => length === 0)
    })
  )

  it.effect("ends in the middle of it where the server is told to look for its client", () =>
    Effect.gen(function* () {
      const startupParameters = { client_connection_check_interval: "100ms" }
      const sessions = yield* vanished("looking", "select pg_sleep(60)", startupParameters)
      yield* eventually(sessions, ({ length }) => length === 0)
    })
  )
})

const folder = path.join(root, ".build", "revoking")
fs.mkdirSync(folder, { recursive: true })
const certificate = Certificate.make(folder, "database.test")

describe.skipIf(certificate === undefined)(Certificate.titled("over TLS"), () => {
  layer(
    serverWith(certificate && Certificate.postgresSettings(certificate)),
    live
  )((it) => {
    it.effect("too a session that is taken from its borrower is ended on the server before another is opened", () =>
      Effect.gen(function* () {
        const ssl = { ca: fs.readFileSync(certificate!.cert, "utf8"), servername: "database.test" }
        const { mostSessions } = yield* revoked({ name: "encrypted", options: { ssl }, work: sleeps })
        assert.strictEqual(mostSessions, 1)
      })
    )
  })
})
