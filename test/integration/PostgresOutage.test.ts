import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { AcquireError } from "../../src/PoolError.ts"
import { eventually } from "../support/Eventually.ts"
import {
  backendPid,
  type Connection,
  live,
  makePool,
  observer,
  Server,
  serverWith,
  sessionsOf,
  single,
  valueOf
} from "./Server.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

const terminate = (outside: Connection, pid: number) => outside.query("select pg_terminate_backend($1)", [pid])

/** Nothing is lent, nobody waits, and every sum adds up. */
const settled = Effect.fnUntraced(function* (pool: Pool) {
  const status = yield* eventually(
    ConnectionPool.status(pool),
    ({ idle, minConnections, total }) => idle === total && total >= minConnections
  )
  assert.strictEqual(status.inUse, 0)
  assert.strictEqual(status.waiting, 0)
  assert.strictEqual(status.acquired, status.released)
  assert.strictEqual(status.created - status.closed, status.total)
  return status
})

/** What callers may see of an outage, and nothing else. */
type Outcome = "success" | SqlError["_tag"] | AcquireError["_tag"] | "late"

const acquireTimeout = 1000
/** For a statement that was running, and for a busy machine. */
const grace = 2000
/** For some hundred calls. */
const patience = "15 seconds"

/** One caller: a short query, whatever comes of it, within its deadline. */
const call = (pool: Pool): Effect.Effect<Outcome> =>
  ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(0.002)")).pipe(
    Effect.as("success" as const),
    Effect.catch((error) => Effect.succeed(error._tag)),
    Effect.timeoutOrElse({
      duration: acquireTimeout + grace,
      orElse: () => Effect.succeed("late" as const)
    })
  )

layer(serverWith(), live)("Postgres.connector", (it) => {
  describe("a connection that dies", () => {
    it.effect("notices without a query that an idle connection was killed, and restores the minimum", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("killed idle", { minConnections: 2, maxConnections: 5 })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        const [first] = yield* sessionsOf(outside, "killed idle")
        yield* terminate(outside, first!.pid)
        const status = yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed === 1 && idle === 2)
        assert.deepStrictEqual({ created: status.created, acquired: status.acquired }, { created: 3, acquired: 0 })
        const sessions = yield* sessionsOf(outside, "killed idle")
        assert.notInclude(
          sessions.map(({ pid }) => pid),
          first!.pid
        )
        // Neither the one that is left nor the new one has been asked anything.
        assert.deepStrictEqual(
          sessions.map(({ query }) => query),
          ["", ""]
        )
      })
    )

    it.effect("replaces every idle connection when all were killed at once", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("killed all", { minConnections: 4, maxConnections: 4 })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 4)
        yield* outside.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'killed all'"
        )
        yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed === 4 && idle === 4)
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)
      })
    )

    it.effect("gives the borrower of a connection killed in flight its SqlError, and the next one another", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("killed in flight")
        const borrower = yield* Effect.forkChild(
          ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(60)"))
        )
        const [session] = yield* eventually(
          sessionsOf(outside, "killed in flight"),
          ([session]) => session?.state === "active"
        )
        yield* terminate(outside, session!.pid)
        const error = yield* Effect.flip(Fiber.join(borrower))
        assert.isTrue(isSqlError(error))
        const next = yield* ConnectionPool.use(pool, backendPid)
        assert.notStrictEqual(next, session!.pid)
        const { closed, created, total } = yield* settled(pool)
        assert.deepStrictEqual({ closed, created, total }, { closed: 1, created: 2, total: 1 })
      })
    )

    it.effect("does not lend again what died between two statements of its borrower", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("killed between")
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* ConnectionPool.acquire(pool)
            yield* terminate(outside, connection.processId)
            yield* eventually(sessionsOf(outside, "killed between"), ({ length }) => length === 0)
            const error = yield* Effect.flip(connection.query("select 1"))
            assert.isTrue(isSqlError(error))
            return connection.processId
          })
        )
        assert.notStrictEqual(yield* ConnectionPool.use(pool, backendPid), first)
        yield* settled(pool)
      })
    )
  })

  describe("a server that dies", () => {
    /** Kills the server, and gives what brings it back; the end of the test does, if the test did not. */
    const outage = Effect.gen(function* () {
      const server = yield* Server
      let isDown = true
      const end = Effect.suspend(() => {
        if (!isDown) return Effect.void
        isDown = false
        return server.start
      })
      yield* Effect.acquireRelease(server.kill, () => Effect.orDie(end))
      return { end }
    })

    const config: Input = {
      minConnections: 2,
      maxConnections: 6,
      acquireTimeout,
      unavailableAfter: "400 millis",
      retry: { initial: "100 millis", factor: 2, max: "300 millis", jitter: 0 }
    }

    it.effect(
      "loses no lease, opens no connection too many and does not hammer when it is killed under load and comes back",
      () =>
        Effect.gen(function* () {
          const pool = yield* makePool("load", config)
          const outcomes = new Map<Outcome, number>()
          const load = { isOver: false }
          let mostSessions = 0

          const caller = Effect.gen(function* () {
            while (!load.isOver) {
              const outcome = yield* call(pool)
              outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
              // Whoever is refused at once does not ask again at once.
              if (outcome !== "success") yield* Effect.sleep("10 millis")
            }
          })
          const watch = Effect.scoped(
            Effect.gen(function* () {
              const outside = yield* observer
              while (!load.isOver) {
                const sessions = yield* sessionsOf(outside, "load")
                mostSessions = Math.max(mostSessions, sessions.length)
                yield* Effect.sleep("5 millis")
              }
            })
          ).pipe(Effect.catch(() => Effect.sleep("20 millis")))
          const watcher = yield* Effect.forkChild(
            Effect.whileLoop({ while: () => !load.isOver, body: () => watch, step() {} })
          )
          const callers = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.forkChild(caller))

          yield* eventually(
            ConnectionPool.status(pool),
            ({ released, total }) => released > 500 && total === 6,
            patience
          )
          const before = yield* ConnectionPool.status(pool)
          const { end } = yield* outage
          const killed = performance.now()
          yield* eventually(ConnectionPool.status(pool), ({ state }) => state === "unavailable")
          const down = yield* eventually(ConnectionPool.status(pool), ({ retries }) => retries >= before.retries + 5)
          const millisDown = performance.now() - killed
          // 100, 200, 300, 300 ... after the first failures, of which there is one per connect that was under way.
          const steps = 2 + Math.ceil(millisDown / 300)
          assert.isAtMost(down.retries - before.retries, steps)
          assert.isAtMost(down.connectFailures - before.connectFailures, steps + config.maxConnections!)

          yield* end
          yield* eventually(
            ConnectionPool.status(pool),
            ({ released, state }) => state === "ready" && released > down.released + 500,
            patience
          )
          load.isOver = true
          for (const fiber of callers) assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
          yield* Fiber.join(watcher)

          const { created, lastFailure } = yield* settled(pool)
          assert.isAtLeast(created, 8)
          assert.isUndefined(lastFailure)
          assert.isAbove(mostSessions, 1)
          assert.isAtMost(mostSessions, config.maxConnections!)
          assert.isUndefined(outcomes.get("late"), JSON.stringify([...outcomes]))
          assert.isAbove(outcomes.get("ServiceUnavailable") ?? 0, 0)
          const known: ReadonlyArray<Outcome> = ["success", "SqlError", "AcquireTimeout", "ServiceUnavailable"]
          for (const outcome of outcomes.keys()) assert.include(known, outcome)

          const outside = yield* observer
          const { total } = yield* ConnectionPool.status(pool)
          assert.strictEqual((yield* sessionsOf(outside, "load")).length, total)
        })
    )

    it.effect("starts when its server does, if the pool was there first", () =>
      Effect.gen(function* () {
        const { end } = yield* outage
        const pool = yield* makePool("early", { ...config, startup: "background" })
        const { state } = yield* eventually(ConnectionPool.status(pool), ({ lastFailure }) => lastFailure !== undefined)
        assert.strictEqual(state, "starting")
        yield* end
        yield* ConnectionPool.awaitReady(pool)
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)
      })
    )

    it.effect("serves those who waited through a short outage", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("short outage", {
          ...config,
          acquireTimeout: "10 seconds",
          unavailableAfter: "1 minute"
        })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        const { end } = yield* outage
        yield* eventually(
          ConnectionPool.status(pool),
          ({ lastFailure, total }) => lastFailure !== undefined && total === 0
        )
        const borrowers = yield* Effect.forEach(Array.from({ length: 20 }), () =>
          Effect.forkChild(ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")))
        )
        yield* eventually(ConnectionPool.status(pool), ({ waiting }) => waiting === 20)
        yield* end
        for (const borrower of borrowers) assert.strictEqual(yield* Fiber.join(borrower), 1)
        yield* settled(pool)
      })
    )
  })

  describe("a server that freezes", () => {
    /** Whatever the test finds, the server must be able to end. */
    const frozen = Effect.flatMap(Server, (server) => Effect.acquireRelease(server.freeze, () => server.thaw))

    it.effect("an acquire whose check hangs fails in time, and the pool works again after the thaw", () =>
      Effect.gen(function* () {
        const server = yield* Server
        const config: Input = { minConnections: 2, maxConnections: 2, checkAfterIdle: 0, acquireTimeout: 300 }
        const pool = yield* makePool("frozen", { ...config, checkTimeout: "1 minute" })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        yield* frozen
        const started = performance.now()
        const error = yield* Effect.flip(ConnectionPool.use(pool, backendPid))
        assert.strictEqual(error._tag, "AcquireTimeout")
        assert.isAtLeast(performance.now() - started, 299)
        assert.isBelow(performance.now() - started, 1500)
        if (error._tag === "AcquireTimeout") assert.strictEqual(error.diagnosis, "connecting-slowly")
        assert.isAtLeast((yield* ConnectionPool.status(pool)).checking, 1)

        yield* server.thaw
        // The check that hung is answered now: the connection is as good as it was.
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        assert.isNumber(yield* ConnectionPool.use(pool, backendPid))
        const { created, timedOut } = yield* settled(pool)
        assert.deepStrictEqual({ created, timedOut }, { created: 2, timedOut: 1 })
      })
    )

    it.effect("connections that fail their check are replaced after the thaw", () =>
      Effect.gen(function* () {
        const server = yield* Server
        const pool = yield* makePool("frozen and replaced", {
          minConnections: 2,
          maxConnections: 2,
          checkAfterIdle: 0,
          checkTimeout: "100 millis",
          connectTimeout: "200 millis",
          closeTimeout: "500 millis",
          acquireTimeout: "1 second",
          retry: { initial: "100 millis", max: "200 millis" }
        })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        yield* frozen
        const error = yield* Effect.flip(ConnectionPool.use(pool, backendPid))
        assert.strictEqual(error._tag, "AcquireTimeout")
        yield* server.thaw
        const pid = yield* Effect.retry(ConnectionPool.use(pool, backendPid), { times: 5 })
        assert.isNumber(pid)
        const { closed } = yield* settled(pool)
        assert.isAtLeast(closed, 2)
        const outside = yield* observer
        yield* eventually(sessionsOf(outside, "frozen and replaced"), ({ length }) => length === 2)
      })
    )

    it.effect(
      "a borrower's own timeout ends its wait for a frozen server, and the connection is not lent on busy",
      () =>
        Effect.gen(function* () {
          const server = yield* Server
          const pool = yield* makePool("frozen in use", { ...single, resetTimeout: "1 second" })
          const outside = yield* observer
          const borrower = yield* Effect.forkChild(
            Effect.timeoutOption(
              ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(60)")),
              "300 millis"
            )
          )
          yield* eventually(sessionsOf(outside, "frozen in use"), ([session]) => session?.state === "active")
          yield* frozen
          // Past the borrower's timeout: it is over when the driver has got the session back, and that takes an answer.
          yield* Effect.delay(server.thaw, "600 millis")
          const outcome = yield* Fiber.join(borrower)
          assert.strictEqual(outcome._tag, "None")
          assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")), 7)
          yield* settled(pool)
        })
    )
  })
})
