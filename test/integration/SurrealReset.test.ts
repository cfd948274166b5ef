/** What a borrower leaves behind, and that the next one does not find it; and what dies, and is noticed. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { type SurrealSession, Table } from "surrealdb"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as SurrealDb from "../../src/connectors/SurrealDb.ts"
import { DatabaseConnection } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import {
  asOwner,
  connectorFor,
  type Connection,
  counts,
  live,
  makePool,
  modes,
  onServer,
  Server,
  serverWith,
  sessionIdOf,
  single,
  valueOf
} from "./Surreal.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

const onSession = <A>(pool: Pool, f: (session: SurrealSession) => PromiseLike<A>) =>
  ConnectionPool.use(pool, (connection) => connection.use(f))

const ask = (pool: Pool, sql: string) => ConnectionPool.use(pool, (connection) => valueOf(connection, sql))

const where = "[session::ns(), session::db()]"

onServer("SurrealDb.connector: between two borrowers", () => {
  for (const mode of modes) {
    layer(serverWith(), live)(`with mode: "${mode}"`, (it) => {
      it.effect("a plain statement leaves the session as it is", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          const session = ConnectionPool.use(pool, sessionIdOf)
          const before = yield* session
          yield* ask(pool, "CREATE plain:1; LET $x = 1; SELECT * FROM plain; DELETE plain")
          assert.strictEqual(yield* session, before)
        })
      )

      it.effect("a variable is gone", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          yield* onSession(pool, (session) => session.set("tenant", "seven"))
          assert.isUndefined(yield* ask(pool, "RETURN $tenant ?? NONE"))
        })
      )

      it.effect("another namespace is left again", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          yield* onSession(pool, (session) => session.use({ namespace: "other", database: "other" }))
          assert.deepStrictEqual(yield* ask(pool, `RETURN ${where}`), ["app", "app"])
        })
      )

      it.effect("another identity is dropped", () =>
        Effect.gen(function* () {
          const { password } = yield* Server
          const pool = yield* makePool(single, { mode })
          const viewer = { namespace: "app", database: "app", username: "viewer", password }
          yield* onSession(pool, (session) => session.signin(viewer))
          assert.deepStrictEqual(yield* ask(pool, "RETURN $token.ID"), "root")
        })
      )

      it.effect("a session that has signed out is signed in again, on the same connection", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          yield* onSession(pool, (session) => session.invalidate())
          const identity = yield* ask(pool, "RETURN $token.ID")
          const { created } = yield* ConnectionPool.status(pool)
          assert.deepStrictEqual([identity, created], ["root", 1])
        })
      )

      it.effect("an open transaction is cancelled, on the server too", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          yield* onSession(pool, async (session) => {
            const transaction = await session.beginTransaction()
            await transaction.query("CREATE left:1")
          })
          const rows = yield* ask(pool, "DEFINE TABLE IF NOT EXISTS left; RETURN (SELECT * FROM left)")
          const { transactions } = yield* counts
          assert.deepStrictEqual([rows, transactions], [undefined, 0])
        })
      )

      it.effect("a transaction that its borrower has kept cannot be committed any more", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          const kept = yield* onSession(pool, async (session) => ({ transaction: await session.beginTransaction() }))
          yield* ask(pool, "RETURN 1")
          const outcome = yield* Effect.promise(() => kept.transaction.commit().then(() => "committed", String))
          assert.include(outcome, "not found")
        })
      )

      it.effect("a session that its borrower has kept is of no use to him after a reset", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          const kept = yield* onSession(pool, async (session) => {
            await session.set("tenant", "seven")
            return { session }
          })
          yield* ask(pool, "RETURN 1")
          const outcome = yield* Effect.promise(() => kept.session.query("RETURN 1").then(() => "answered", String))
          assert.include(outcome, "not found")
        })
      )

      it.effect("sessions that its borrower has made from it are ended, with what they have left", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          yield* onSession(pool, async (session) => {
            const fork = await session.forkSession()
            await fork.beginTransaction()
          })
          yield* ask(pool, "RETURN 1")
          const { sessions, transactions } = yield* counts
          assert.deepStrictEqual([sessions, transactions], [1, 0])
        })
      )

      it.effect("a live query is ended, on the server too", () =>
        Effect.gen(function* () {
          yield* asOwner("DEFINE TABLE IF NOT EXISTS ticker")
          const pool = yield* makePool(single, { mode })
          const heard: Array<string> = []
          yield* onSession(pool, async (session) => {
            const subscription = await session.live(new Table("ticker"))
            subscription.subscribe(({ action }) => heard.push(action))
            await session.query("CREATE ticker")
          })
          yield* eventually(
            Effect.sync(() => heard.length),
            (length) => length > 0
          )
          yield* ask(pool, "RETURN 1")
          yield* eventually(counts, ({ liveQueries }) => liveQueries === 0)
          yield* ask(pool, "CREATE ticker")
          // The answer to a later request comes after the notification would.
          yield* ask(pool, "RETURN 1")
          assert.deepStrictEqual(
            heard.filter((action) => action !== "KILLED"),
            ["CREATE"]
          )
        })
      )

      it.effect("a statement that was given up is not seen by the next borrower", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          const slow = ConnectionPool.use(pool, (connection) => valueOf(connection, "SLEEP 10s; RETURN 'slow'"))
          yield* Effect.ignore(Effect.timeout(slow, "50 millis"))
          const answer = yield* Effect.timeout(ask(pool, "RETURN 'mine'"), "5 seconds")
          const { created } = yield* ConnectionPool.status(pool)
          assert.deepStrictEqual([answer, created], ["mine", 1])
        })
      )

      it.effect("a transaction commits what succeeds", () =>
        Effect.gen(function* () {
          const pool = yield* makePool(single, { mode })
          yield* ConnectionPool.use(pool, (connection) =>
            connection.transaction((transaction) => transaction.query("CREATE kept:1"))
          )
          assert.deepStrictEqual(yield* asOwner("SELECT VALUE record::id(id) FROM kept; DELETE kept RETURN BEFORE"), [
            { id: "kept:1" }
          ])
        })
      )

      it.effect("a transaction leaves nothing of what fails or is interrupted", () =>
        Effect.gen(function* () {
          yield* asOwner("DEFINE TABLE IF NOT EXISTS undone")
          const pool = yield* makePool(single, { mode })
          const writing = (then: Effect.Effect<unknown, string>) =>
            ConnectionPool.use(pool, (connection) =>
              connection.transaction((transaction) => Effect.andThen(transaction.query("CREATE undone"), then))
            )
          const error = yield* Effect.flip(writing(Effect.fail("no")))
          yield* Effect.ignore(Effect.timeout(writing(Effect.never), "50 millis"))
          const rows = yield* ask(pool, "SELECT * FROM undone")
          const { transactions } = yield* counts
          assert.deepStrictEqual([error, rows, transactions], ["no", [], 0])
        })
      )

      it.effect("of two transactions on one record, one fails with a conflict", () =>
        Effect.gen(function* () {
          yield* asOwner("UPSERT counter:1 SET value = 0")
          const pool = yield* makePool({ maxConnections: 2 }, { mode })
          let written = 0
          const increment = ConnectionPool.use(pool, (connection) =>
            connection.transaction((transaction) =>
              Effect.gen(function* () {
                yield* transaction.query("UPDATE counter:1 SET value += 1")
                written++
                // Neither commits before both have written.
                yield* eventually(
                  Effect.sync(() => written),
                  (count) => count === 2
                )
              })
            )
          )
          const [one, other] = yield* Effect.all([Effect.result(increment), Effect.result(increment)], {
            concurrency: 2
          })
          const conflicts = [one, other].filter(
            (result) => result._tag === "Failure" && SurrealDb.isConflict(result.failure)
          )
          const value = yield* asOwner("SELECT VALUE value FROM ONLY counter:1")
          assert.deepStrictEqual([conflicts.length, value], [1, 1])
        })
      )

      it.effect("a connection that the server drops while it is idle is replaced before anybody asks", () =>
        Effect.gen(function* () {
          const { terminate } = yield* Server
          const pool = yield* makePool(single, { mode })
          const session = yield* ConnectionPool.use(pool, sessionIdOf)
          yield* terminate(session)
          const { closed } = yield* eventually(
            ConnectionPool.status(pool),
            ({ created, idle }) => created === 2 && idle === 1
          )
          assert.strictEqual(closed, 1)
        })
      )

      it.effect("a statement whose connection the server drops fails at once", () =>
        Effect.gen(function* () {
          const { terminate } = yield* Server
          const pool = yield* makePool(single, { mode })
          const session = yield* ConnectionPool.use(pool, sessionIdOf)
          const slow = yield* Effect.forkChild(Effect.flip(ask(pool, "SLEEP 10s")))
          yield* eventually(ConnectionPool.status(pool), ({ inUse }) => inUse === 1)
          yield* terminate(session)
          const error = yield* Effect.timeout(Fiber.join(slow), "2 seconds")
          assert.deepInclude(error, { _tag: "SurrealDbError", kind: "Closed" })
        })
      )

      it.effect("an answer that nobody can read costs the connection and not the process", () =>
        Effect.gen(function* () {
          const { garble } = yield* Server
          const pool = yield* makePool(single, { mode })
          yield* garble
          yield* eventually(ConnectionPool.status(pool), ({ created, idle }) => created === 2 && idle === 1)
          assert.strictEqual(yield* ask(pool, "RETURN 1"), 1)
        })
      )

      it.effect("a session that has expired is not lent again", () =>
        Effect.gen(function* () {
          const { password } = yield* Server
          const authentication = { username: "brief", password }
          const pool = yield* makePool(single, { mode, authentication })
          const held = ConnectionPool.use(pool, (connection) =>
            // Until it fails.
            eventually(connection.query("RETURN 1"), () => false)
          )
          const error = yield* Effect.flip(held)
          const answer = yield* ask(pool, "RETURN 1")
          assert.deepInclude(error, { _tag: "SurrealDbError", detail: "SessionExpired" })
          assert.strictEqual(answer, 1)
        })
      )
    })
  }

  layer(serverWith(), live)("on one socket", (it) => {
    it.effect("the end of one session takes no other along", () =>
      Effect.gen(function* () {
        const { detach } = yield* Server
        const pool = yield* makePool(
          { minConnections: 3, maxConnections: 3, checkAfterIdle: 0 },
          { mode: "sharedSocket" }
        )
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 3)
        yield* detach(yield* ConnectionPool.use(pool, sessionIdOf))
        const all = yield* Effect.all([ask(pool, "RETURN 1"), ask(pool, "RETURN 2"), ask(pool, "RETURN 3")], {
          concurrency: 3
        })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 3)
        const { closed } = yield* ConnectionPool.status(pool)
        const { sockets } = yield* counts
        assert.deepStrictEqual([all, closed, sockets], [[1, 2, 3], 1, 1])
      })
    )

    it.effect("a statement that runs out of time takes no other session along", () =>
      Effect.gen(function* () {
        const connector = DatabaseConnection.connector(yield* connectorFor({ mode: "sharedSocket" }), SurrealDb.queries)
        const pool = yield* ConnectionPool.make(connector, { minConnections: 2, maxConnections: 2, queryTimeout: 100 })
        const query = (sql: string) => ConnectionPool.use(pool, (connection) => connection.query(sql))
        const other = yield* Effect.forkChild(
          ConnectionPool.use(pool, ({ raw }) =>
            Effect.map(raw.query("SLEEP 1500ms; RETURN 'untouched'"), ([, answer]) => answer)
          )
        )
        const error = yield* Effect.flip(query("SLEEP 10s"))
        const after = yield* query("RETURN 1")
        const { sockets } = yield* counts
        assert.deepInclude(error, { _tag: "QueryTimeout", outcome: "abandoned" })
        assert.deepStrictEqual([yield* Fiber.join(other), after, sockets], ["untouched", [1], 1])
      })
    )

    it.effect("the end of the socket takes all along, and one socket is opened instead", () =>
      Effect.gen(function* () {
        const { terminateAll } = yield* Server
        const pool = yield* makePool({ minConnections: 10, maxConnections: 10 }, { mode: "sharedSocket" })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 10)
        yield* terminateAll
        yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed === 10 && idle === 10)
        const { sessions, sockets } = yield* counts
        assert.deepStrictEqual([sessions, sockets], [10, 1])
      })
    )

    it.effect("the socket is closed with the last connection", () =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.flatMap(makePool(single, { mode: "sharedSocket" }), (pool) => ask(pool, "RETURN 1"))
        )
        const { sockets } = yield* eventually(counts, ({ sockets }) => sockets === 0)
        assert.strictEqual(sockets, 0)
      })
    )
  })
})
