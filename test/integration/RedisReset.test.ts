import { assert } from "@effect/vitest"
import { Effect, Queue } from "effect"
import type { Redis as IORedis } from "ioredis"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { eventually } from "../support/Eventually.ts"
import { ask, clientsOf, type Connection, makePool, observer, onServer, type Pool, single } from "./RedisServerLayer.ts"

const infoOf = (connection: Connection) => connection.send<string>("CLIENT", "INFO")

/** How often the server has been told to reset a connection. */
const resetsOf = (outside: IORedis) =>
  Effect.map(ask<string>(outside, "INFO", "commandstats"), (stats) =>
    Number(/cmdstat_reset:calls=(\d+)/.exec(stats)?.[1] ?? 0)
  )

/** Waits until the pool has nothing to do. */
const atRest = (pool: Pool) =>
  eventually(
    ConnectionPool.status(pool),
    ({ idle, minConnections, total }) => idle === total && total >= minConnections
  )

interface Leftover {
  readonly left: string
  readonly leave: (connection: Connection) => Effect.Effect<unknown, unknown>
  /** What the next borrower would see of it; `as it was` if it sees nothing. */
  readonly seen: (connection: Connection) => Effect.Effect<unknown, unknown>
  readonly asItWas: unknown
}

const field = (name: string) => (connection: Connection) =>
  Effect.map(infoOf(connection), (info) => new RegExp(` ${name}=(\\S*)`).exec(info)?.[1])

const leftovers: ReadonlyArray<Leftover> = [
  {
    left: "inside a transaction",
    leave: (connection) => Effect.andThen(connection.send("MULTI"), connection.send("SET", "half", "1")),
    seen: (connection) => connection.send("EXISTS", "half"),
    asItWas: 0
  },
  {
    left: "inside a transaction that the driver's client began",
    leave: (connection) => connection.use((client) => client.multi({ pipeline: false })),
    seen: field("multi"),
    asItWas: "-1"
  },
  {
    left: "watching a key",
    leave: (connection) => connection.send("WATCH", "watched"),
    seen: (connection) =>
      Effect.flatMap(connection.send("SET", "watched", "1"), () =>
        Effect.map(connection.transaction([["PING"]]), ([answer]) => answer)
      ),
    asItWas: "PONG"
  },
  {
    left: "with another database selected",
    leave: (connection) => connection.send("SELECT", 7),
    seen: field("db"),
    asItWas: "0"
  },
  {
    left: "with another database selected through the driver",
    leave: (connection) => connection.use((client) => client.select(5)),
    seen: field("db"),
    asItWas: "0"
  },
  {
    left: "subscribed to a channel",
    leave: (connection) => connection.send("SUBSCRIBE", "news"),
    seen: field("sub"),
    asItWas: "0"
  },
  {
    left: "subscribed to a pattern and a channel",
    leave: (connection) => Effect.scoped(connection.subscribe({ channels: ["news"], patterns: ["n*"] })),
    seen: field("psub"),
    asItWas: "0"
  },
  {
    left: "subscribed to a shard channel",
    leave: (connection) => connection.send("SSUBSCRIBE", "shard"),
    seen: field("ssub"),
    asItWas: "0"
  },
  {
    left: "under another name",
    leave: (connection) => connection.send("CLIENT", "SETNAME", "somebody"),
    seen: (connection) => connection.send("CLIENT", "GETNAME"),
    asItWas: "reset"
  },
  {
    left: "tracking what it reads",
    leave: (connection) => connection.send("CLIENT", "TRACKING", "ON"),
    seen: field("redir"),
    asItWas: "-1"
  },
  {
    left: "without replies",
    leave: (connection) => Effect.timeoutOption(connection.send("CLIENT", "REPLY", "OFF"), "20 millis"),
    seen: (connection) => connection.send("ECHO", "heard"),
    asItWas: "heard"
  },
  {
    left: "as a monitor",
    leave: (connection) => connection.send("MONITOR"),
    seen: (connection) => connection.send("ECHO", "heard"),
    asItWas: "heard"
  },
  {
    left: "with another protocol",
    leave: (connection) => connection.send("HELLO", "2"),
    seen: field("resp"),
    asItWas: "3"
  },
  {
    left: "reset",
    leave: (connection) => connection.send("RESET"),
    seen: field("resp"),
    asItWas: "3"
  }
]

onServer("Redis.connector: what a borrower leaves behind", {}, (test) => {
  for (const { asItWas, leave, left, seen } of leftovers) {
    test(`is gone when a connection comes back ${left}`, () =>
      Effect.gen(function* () {
        const pool = yield* makePool("reset")
        yield* ConnectionPool.use(pool, leave)
        assert.deepStrictEqual(yield* ConnectionPool.use(pool, seen), asItWas)
        // And all of it works on what is lent now.
        yield* ConnectionPool.use(pool, (connection) => connection.transaction([["SET", "x", "1"]]))
      }))
  }

  test("keeps the connection of one who subscribed, and hands none of the messages on", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("subscriber")
      const first = yield* ConnectionPool.use(pool, ({ id, send }) => Effect.as(send("SUBSCRIBE", "news"), id))
      const heard = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* ConnectionPool.acquire(pool)
          assert.strictEqual(connection.id, first)
          const messages = yield* connection.subscribe({ channels: ["other"] })
          yield* ask(outside, "PUBLISH", "news", "for the first borrower")
          yield* ask(outside, "PUBLISH", "other", "for the second")
          return yield* Queue.take(messages)
        })
      )
      assert.deepStrictEqual(heard, { channel: "other", message: "for the second" })
      const { closed } = yield* atRest(pool)
      assert.strictEqual(closed, 0)
    }))

  test("takes the listeners away that a borrower has put on the driver's client", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("listeners")
      yield* ConnectionPool.use(pool, (connection) =>
        Effect.sync(() => connection.client.on("message", () => {})).pipe(
          Effect.andThen(connection.use((client) => client.subscribe("news")))
        )
      )
      const count = yield* ConnectionPool.use(pool, ({ client }) => Effect.sync(() => client.listenerCount("message")))
      assert.strictEqual(count, 0)
    }))

  test("costs nothing after plain commands and finished transactions", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("clean")
      const before = yield* resetsOf(outside)
      for (let n = 0; n < 20; n++) {
        yield* ConnectionPool.use(pool, (connection) => connection.send("INCR", "plain"))
        yield* ConnectionPool.use(pool, (connection) => connection.transaction([["INCR", "plain"]]))
        yield* ConnectionPool.use(pool, (connection) =>
          Effect.andThen(connection.send("WATCH", "plain"), connection.send("UNWATCH"))
        )
        yield* ConnectionPool.use(pool, (connection) =>
          connection.use((client) => client.multi().incr("plain").get("plain").exec())
        )
      }
      yield* ConnectionPool.use(pool, (connection) => connection.send("BLPOP", "nothing", "0.001"))
      yield* atRest(pool)
      assert.strictEqual((yield* resetsOf(outside)) - before, 0)
    }))

  test("costs one command after every lease with reset: always, and none with never", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const before = yield* resetsOf(outside)
      const always = yield* makePool("always", single, { reset: "always" })
      for (let n = 0; n < 5; n++) yield* ConnectionPool.use(always, ({ send }) => send("PING"))
      yield* atRest(always)
      assert.strictEqual((yield* resetsOf(outside)) - before, 5)
      const never = yield* makePool("never", single, { reset: "never" })
      yield* ConnectionPool.use(never, ({ send }) => send("SELECT", 4))
      assert.strictEqual(yield* ConnectionPool.use(never, field("db")), "4")
      assert.strictEqual((yield* resetsOf(outside)) - before, 5)
    }))

  test("returns to the database, the user and the name of the connector", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "ACL", "SETUSER", "app", "on", ">right", "~*", "+@all")
      yield* ask(outside, "ACL", "SETUSER", "other", "on", ">other", "~*", "+@all")
      const pool = yield* makePool("mine", single, { database: 2, username: "app", password: "right" })
      const id = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.send("AUTH", "other", "other")
          yield* connection.send("SELECT", 9)
          yield* connection.send("CLIENT", "SETNAME", "theirs")
          return connection.id
        })
      )
      yield* atRest(pool)
      const [found] = yield* clientsOf(outside, "mine")
      assert.deepInclude(found, { id: id!, db: 2, name: "mine" })
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("ACL", "WHOAMI")), "app")
    }))
})

onServer(
  "Redis.connector on a server without HELLO",
  { settings: { "rename-command": ["HELLO", "NOHELLO"] } },
  (test) => {
    test("speaks the old protocol, and replaces what would need a reset", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("old")
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("ECHO", "old")), "old")
        yield* ConnectionPool.use(pool, ({ send }) => send("SELECT", 3))
        yield* ConnectionPool.use(pool, (connection) => Effect.scoped(connection.subscribe({ channels: ["news"] })))
        assert.strictEqual(yield* ConnectionPool.use(pool, field("db")), "0")
        const { created } = yield* atRest(pool)
        assert.strictEqual(created, 3)
      }))
  }
)

onServer(
  "Redis.connector on a server without RESET",
  { settings: { "rename-command": ["RESET", "NORESET"] } },
  (test) => {
    test("replaces what would need a reset, and keeps the rest", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("older")
        yield* ConnectionPool.use(pool, ({ send }) => send("SET", "x", "1"))
        yield* ConnectionPool.use(pool, ({ send }) => send("SELECT", 3))
        assert.strictEqual(yield* ConnectionPool.use(pool, field("db")), "0")
        const { created } = yield* atRest(pool)
        assert.strictEqual(created, 2)
      }))
  }
)
