import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Queue, Schedule, Schema } from "effect"
import {
  Persistable,
  PersistedCache,
  PersistedQueue,
  Persistence,
  RateLimiter,
  Redis as EffectRedis
} from "effect/persistence"
import * as net from "node:net"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Redis from "../../src/connectors/Redis.ts"
import { DatabaseConnection, PoolLayer } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import {
  ask,
  clientsOf,
  connectFailure,
  type Connection,
  makePool,
  observer,
  onServer,
  Server,
  silent,
  single
} from "./RedisServerLayer.ts"

const connectorOf = (options: Redis.Options) => Redis.connector(options)

describe("Redis.connector: options", () => {
  it("names every wrong one at once, and never shows the URL", () => {
    const { problems } = connectorOf({
      url: "redis://user:s3cret@local host",
      port: 70_000,
      database: -1,
      clientName: "two words",
      keepAlive: "soon" as "1 second"
    })
    assert.deepStrictEqual(
      problems?.map(({ field }) => field),
      ["url", "port", "database", "clientName", "keepAlive"]
    )
    assert.notInclude(JSON.stringify(problems), "s3cret")
  })

  it.effect("are refused by the pool in one error together with its own", () =>
    Effect.gen(function* () {
      const error = yield* connectFailure({ url: "http://localhost", database: 1.5 }, { maxConnections: -1 })
      assert.strictEqual(error._tag, "PoolConfigError")
      for (const field of ["url", "database", "maxConnections"]) assert.include(error.message, field)
    })
  )

  it.each([
    ["redis://localhost", "localhost:6379/0"],
    ["redis://db.example:7000/3", "db.example:7000/3"],
    ["rediss://db.example", "db.example:6379/0"],
    ["redis://db.example?db=4", "db.example:6379/4"],
    ["redis://[::1]:6380/1", "::1:6380/1"],
    ["unix:///run/redis.sock?db=2", "/run/redis.sock/2"]
  ])("says of %s that it is %s", (url, name) => {
    const { name: found, problems } = connectorOf({ url })
    assert.deepStrictEqual([found, problems], [name, []])
  })

  it.effect("are read from the environment", () =>
    Effect.gen(function* () {
      const env = {
        REDIS_URL: "redis://a:6380/1",
        REDIS_DATABASE: "5",
        REDIS_PASSWORD: "s3cret",
        REDIS_CLIENT_NAME: "app"
      }
      const connector = yield* Redis.config("REDIS").pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      )
      assert.deepStrictEqual([connector.name, connector.problems], ["a:6380/5", []])
    })
  )
})

const errorOf = (code: string, message = code) => new Redis.RedisError({ code, message })

describe("Redis.connector: errors", () => {
  const { classify = () => undefined, fatal = () => undefined } = Redis.connector()

  it.each([
    ["NOAUTH", "NOAUTH Authentication required.", "permanent"],
    ["WRONGPASS", "WRONGPASS invalid username-password pair or user is disabled.", "permanent"],
    ["NOPERM", "NOPERM this user has no permissions", "permanent"],
    ["DENIED", "DENIED Redis is running in protected mode", "permanent"],
    ["ERR", "ERR DB index is out of range", "permanent"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate", "permanent"],
    ["ERR_OSSL_PEM_NO_START_LINE", "error:0480006C:PEM routines::no start line", "permanent"],
    ["ERR", "ERR max number of clients reached", "overloaded"],
    ["LOADING", "LOADING Redis is loading the dataset in memory", "transient"],
    ["ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:6379", "transient"],
    ["CLOSED", "the connection to the server was closed", "transient"]
  ])("%s (%s) is a failure to connect that is %s", (code, message, kind) => {
    assert.strictEqual(classify(errorOf(code, message)), kind)
  })

  it.each([
    ["READONLY", true],
    ["MASTERDOWN", true],
    ["CLUSTERDOWN", true],
    ["NOAUTH", true],
    ["CLOSED", true],
    ["ECONNRESET", true],
    ["EPIPE", true],
    ["OOM", false],
    ["BUSY", false],
    ["WRONGTYPE", false],
    ["NOSCRIPT", false],
    ["MOVED", false],
    ["EXECABORT", false],
    ["LOADING", false],
    ["NOPERM", false]
  ])("%s is the end of its connection: %s", (code, isFatal) => {
    assert.strictEqual(fatal(errorOf(code)), isFatal)
  })

  it.each([
    ["UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", true],
    ["UNBLOCKED client unblocked via CLIENT UNBLOCK", false]
  ])("%s: %s", (message, isFatal) => {
    assert.strictEqual(fatal(errorOf("UNBLOCKED", message)), isFatal)
  })
})

class Cache extends PoolLayer.Service<Cache, Connection>()("test/Cache") {}

/** Effect's persistence on the file's server. */
const persistence = Layer.unwrap(
  Effect.map(Server, ({ url }) =>
    Redis.layerPersistence(Cache).pipe(
      Layer.provide(Cache.layer(Redis.connector({ url, clientName: "persistence" }), { maxConnections: 3 })),
      Layer.provide(silent)
    )
  )
)

onServer("Redis.connector", {}, (test) => {
  test("connects over TCP, with its name, in its database", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("orders", single, { database: 3 })
      yield* ConnectionPool.use(pool, ({ send }) => send("SET", "here", "1"))
      const [client] = yield* clientsOf(outside, "orders")
      assert.strictEqual(client?.db, 3)
      assert.strictEqual(client?.id, yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
    }))

  test("connects over a Unix socket", () =>
    Effect.gen(function* () {
      const { path } = yield* Server
      const pool = yield* ConnectionPool.make(Redis.connector({ url: `unix://${path}?db=2` }), single)
      const info = yield* ConnectionPool.use(pool, ({ send }) => send<string>("CLIENT", "INFO"))
      assert.include(info, `addr=${path}:0`)
      assert.include(info, " db=2 ")
    }).pipe(Effect.provide(silent)))

  test("a server that nobody runs is a transient failure", () =>
    Effect.gen(function* () {
      const error = yield* connectFailure({ host: "127.0.0.1", port: 1 })
      assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "transient")
      assert.include(error.message, "ECONNREFUSED")
    }))

  test("a database that the server does not have is a permanent failure", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const error = yield* connectFailure({ url, database: 99 })
      assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "permanent")
      assert.include(error.message, "DB index is out of range")
    }))

  for (const ssl of [false, true]) {
    test(`gives up a server that accepts and says nothing, and leaves it no socket${ssl ? ", with TLS too" : ""}`, () =>
      Effect.gen(function* () {
        let open = 0
        const mute = net.createServer((socket) => {
          open++
          socket.on("close", () => open--).on("error", () => {})
          socket.resume()
        })
        const port = yield* Effect.acquireRelease(
          Effect.callback<number>((resume) => {
            mute.listen(0, "127.0.0.1", () => resume(Effect.succeed((mute.address() as net.AddressInfo).port)))
          }),
          () => Effect.sync(() => mute.close())
        )
        const started = performance.now()
        const error = yield* connectFailure({ host: "127.0.0.1", port, ssl }, { connectTimeout: "200 millis" })
        assert.strictEqual(error._tag, "ConnectError")
        assert.isBelow(performance.now() - started, 1000)
        yield* eventually(
          Effect.sync(() => open),
          (count) => count === 0,
          "1 second"
        )
      }))
  }

  test("answers commands as the server does, binary arguments too", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("commands")
      const answers = yield* ConnectionPool.use(pool, ({ send, use }) =>
        Effect.all([
          send("HSET", "h", "a", 1, "b", 2),
          send("hgetall", "h"),
          send("GET", "none"),
          send("ZADD", "z", 1.5, "x"),
          send("ZSCORE", "z", "x"),
          send("SET", "bytes", new Uint8Array([0, 255, 13, 10])),
          use((client) => client.getBuffer("bytes"))
        ])
      )
      assert.deepStrictEqual(answers, [2, ["a", "1", "b", "2"], null, 1, "1.5", "OK", Buffer.from([0, 255, 13, 10])])
    }))

  test("fails a command that the server refuses with its code, and keeps the connection", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("refused")
      const error = yield* ConnectionPool.use(pool, ({ send }) =>
        Effect.andThen(send("SET", "text", "x"), Effect.flip(send("LPUSH", "text", "s3cret")))
      )
      assert.deepInclude(error, { _tag: "RedisError", code: "WRONGTYPE", command: "LPUSH" })
      assert.notInclude(JSON.stringify(error), "s3cret")
      assert.strictEqual((yield* ConnectionPool.status(pool)).closed, 0)
    }))

  test("fails with the driver's error what the driver's client rejects", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("rejected")
      const [refused, thrown] = yield* ConnectionPool.use(pool, ({ use }) =>
        Effect.all([
          Effect.flip(use((client) => client.call("NONSENSE"))),
          Effect.flip(
            use(() => {
              throw new Error("thrown")
            })
          )
        ])
      )
      assert.deepStrictEqual([refused.code, thrown.message], ["ERR", "thrown"])
    }))

  test("tells what runs on the driver's client that it was interrupted, and begins nothing after that", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "DEL", "steps")
      const pool = yield* makePool("signal")
      const stepping = ConnectionPool.use(pool, ({ use }) =>
        use(async (client, signal) => {
          while (!signal.aborted) await client.incr("steps")
        })
      )
      const borrower = yield* Effect.forkChild(stepping)
      yield* eventually(ask<string>(outside, "GET", "steps"), (steps) => Number(steps) > 3)
      yield* Fiber.interrupt(borrower)
      // Once the server has answered this, it has executed everything that was sent before.
      yield* ConnectionPool.use(pool, ({ send }) => send("PING"))
      const steps = yield* ask(outside, "GET", "steps")
      yield* ConnectionPool.use(pool, ({ send }) => send("PING"))
      assert.strictEqual(yield* ask(outside, "GET", "steps"), steps)
    }))

  test("ends the command that was given up, and none that another fiber has sent before it", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("fibers")
      const answers = yield* ConnectionPool.use(pool, ({ send }) =>
        Effect.gen(function* () {
          const first = yield* Effect.forkChild(send("BLPOP", "first", 0), { startImmediately: true })
          const second = yield* Effect.forkChild(send("BLPOP", "second", 0), { startImmediately: true })
          yield* eventually(clientsOf(outside, "fibers"), ([found]) => found?.flags.includes("b") === true)
          yield* Fiber.interrupt(second)
          yield* ask(outside, "RPUSH", "first", "1")
          return [yield* Fiber.join(first), yield* send("PING")]
        })
      )
      assert.deepStrictEqual(answers, [["first", "1"], "PONG"])
    }))

  test("executes a transaction and gives its answers", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("transaction")
      const answers = yield* ConnectionPool.use(pool, ({ transaction }) =>
        transaction([
          ["SET", "n", 1],
          ["INCRBY", "n", 5],
          ["GET", "n"]
        ])
      )
      assert.deepStrictEqual(answers, ["OK", 6, "6"])
    }))

  test("fails a transaction when a watched key has changed, and executes nothing of it", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("conflict")
      const error = yield* ConnectionPool.use(pool, ({ send, transaction }) =>
        Effect.gen(function* () {
          yield* send("SET", "balance", 1)
          yield* send("WATCH", "balance")
          yield* ask(outside, "SET", "balance", 2)
          return yield* Effect.flip(transaction([["SET", "balance", 3]]))
        })
      )
      assert.strictEqual(error._tag, "WatchConflict")
      assert.strictEqual(yield* ask(outside, "GET", "balance"), "2")
    }))

  test("counts every increment of those who watch, retry and are interrupted in between", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "SET", "counter", 0)
      const pool = yield* makePool("optimists", { minConnections: 4, maxConnections: 4, acquireTimeout: "10 seconds" })
      const increment = ConnectionPool.use(pool, ({ send, transaction }) =>
        Effect.gen(function* () {
          yield* send("WATCH", "counter")
          const current = Number(yield* send("GET", "counter"))
          yield* transaction([["SET", "counter", current + 1]])
        })
      ).pipe(Effect.retry({ while: ({ _tag }) => _tag === "WatchConflict" }))
      yield* Effect.forEach(Array.from({ length: 50 }), () => increment, { concurrency: 20 })
      assert.strictEqual(yield* ask(outside, "GET", "counter"), "50")
    }))

  test("says which command of a transaction the server refused", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("bad-transaction")
      const [unknown, wrong] = yield* ConnectionPool.use(pool, ({ transaction }) =>
        Effect.all([
          Effect.flip(transaction([["SET", "text", "x"], ["NONSENSE"]])),
          Effect.flip(
            transaction([
              ["SET", "text", "x"],
              ["LPUSH", "text", "y"]
            ])
          )
        ])
      )
      assert.deepInclude(unknown, { _tag: "RedisError", code: "ERR", command: "NONSENSE" })
      assert.deepInclude(wrong, { _tag: "RedisError", code: "WRONGTYPE", command: "LPUSH" })
    }).pipe(Effect.provide(silent)))

  test("gives what is published on channels, patterns and shard channels, and fails when the connection is lost", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("listener")
      const connection = yield* ConnectionPool.acquire(pool)
      const messages = yield* connection.subscribe({ channels: ["a"], patterns: ["b*"], shardChannels: ["c"] })
      yield* ask(outside, "PUBLISH", "a", "1")
      yield* ask(outside, "PUBLISH", "bb", "2")
      yield* ask(outside, "SPUBLISH", "c", "3")
      assert.deepStrictEqual(
        [yield* Queue.take(messages), yield* Queue.take(messages), yield* Queue.take(messages)],
        [
          { channel: "a", message: "1" },
          { channel: "bb", message: "2", pattern: "b*" },
          { channel: "c", message: "3" }
        ]
      )
      // It can ask as well as listen.
      assert.strictEqual(yield* connection.send("PING"), "PONG")
      yield* ask(outside, "CLIENT", "KILL", "ID", connection.id ?? 0)
      const error = yield* Effect.flip(Queue.take(messages))
      assert.strictEqual(error._tag, "RedisError")
    }))

  test("notices without a command that an idle connection was killed, and restores the minimum", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("idle", { minConnections: 2, maxConnections: 4 })
      yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
      const [first] = yield* clientsOf(outside, "idle")
      yield* ask(outside, "CLIENT", "KILL", "ID", first?.id ?? 0)
      const { acquired } = yield* eventually(
        ConnectionPool.status(pool),
        ({ closed, idle }) => closed === 1 && idle === 2
      )
      assert.strictEqual(acquired, 0)
    }))

  test("gives the borrower of a connection killed in flight an error, and the next one another", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("in-flight")
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, ({ send }) => send("BLPOP", "nothing", 0)))
      const [client] = yield* eventually(
        clientsOf(outside, "in-flight"),
        ([found]) => found?.flags.includes("b") === true
      )
      yield* ask(outside, "CLIENT", "KILL", "ID", client?.id ?? 0)
      const error = yield* Effect.flip(Fiber.join(borrower))
      assert.deepInclude(error, { _tag: "RedisError", code: "CLOSED", command: "BLPOP" })
      assert.notStrictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), client?.id)
    }))

  test("never connects by itself, whatever the driver is asked to do", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("once")
      const connection = yield* ConnectionPool.acquire(pool)
      yield* ask(outside, "CLIENT", "KILL", "ID", connection.id ?? 0)
      yield* eventually(clientsOf(outside, "once"), ({ length }) => length === 0)
      const refused = yield* Effect.flip(connection.use((client) => client.connect()))
      const error = yield* Effect.flip(connection.send("PING"))
      assert.deepStrictEqual([refused._tag, error._tag], ["RedisError", "RedisError"])
    }))

  test("counts commands in a DatabaseConnection", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const connector = DatabaseConnection.connector(Redis.connector({ url }), Redis.queries)
      const pool = yield* ConnectionPool.make(connector, single)
      const counts = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.query("SET", ["k", 1])
          yield* Effect.flip(connection.query("LPUSH", ["k", 1]))
          return [connection.queryCount, connection.errorCount]
        })
      )
      assert.deepStrictEqual(counts, [2, 1])
    }).pipe(Effect.provide(silent)))

  test("serves a thousand clients on ten connections, each its own answer, every transaction counted", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "DEL", "total", "mine", "sum")
      const pool = yield* makePool("crowd", { minConnections: 10, maxConnections: 10, acquireTimeout: "20 seconds" })
      const rounds = 4
      const client = (n: number) =>
        Effect.gen(function* () {
          for (let round = 0; round < rounds; round++) {
            const nonce = n * rounds + round
            yield* ConnectionPool.use(pool, ({ send }) => send("INCR", "total"))
            const [, , echo] = yield* ConnectionPool.use(pool, ({ transaction }) =>
              transaction([
                ["INCRBY", "sum", nonce],
                ["HSET", "mine", nonce, n],
                ["ECHO", `client ${nonce}`]
              ])
            )
            assert.strictEqual(echo, `client ${nonce}`)
          }
        })
      let most = 0
      const watch = Effect.forever(
        Effect.tap(Effect.sleep(5), () =>
          Effect.map(clientsOf(outside, "crowd"), ({ length }) => {
            most = Math.max(most, length)
          })
        )
      )
      const clients = Effect.forEach(Array.from({ length: 1000 }), (_, n) => client(n), {
        concurrency: "unbounded",
        discard: true
      })
      yield* Effect.raceFirst(clients, watch)
      const count = 1000 * rounds
      assert.deepStrictEqual(
        {
          total: yield* ask(outside, "GET", "total"),
          sum: yield* ask(outside, "GET", "sum"),
          mine: yield* ask(outside, "HLEN", "mine")
        },
        { total: String(count), sum: String((count * (count - 1)) / 2), mine: count }
      )
      assert.isAtMost(most, 10)
      const { acquired, closed, released } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ released, closed }, { released: acquired, closed: 0 })
    }))
})

class User extends Persistable.Class<{ payload: { readonly id: number } }>()("User", {
  primaryKey: ({ id }) => String(id),
  success: Schema.Struct({ id: Schema.Number, name: Schema.String })
}) {}

onServer("Redis.layerPersistence", {}, (test) => {
  test("sends what Effect's Redis service is told to", () =>
    Effect.gen(function* () {
      const redis = yield* EffectRedis.Redis
      yield* redis.send("SET", "plain", "value")
      assert.strictEqual(yield* redis.send("GET", "plain"), "value")
    }).pipe(Effect.provide(persistence)))

  test("runs Effect's rate limiter, whose script the server does not know yet, and does not know any more", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* Effect.gen(function* () {
        const limiter = yield* RateLimiter.RateLimiter
        const consume = limiter.consume({ key: "ada", limit: 3, window: "1 minute", onExceeded: "fail" })
        const remaining = [(yield* consume).remaining, (yield* consume).remaining]
        yield* ask(outside, "SCRIPT", "FLUSH")
        remaining.push((yield* consume).remaining)
        const error = yield* Effect.flip(consume)
        assert.deepStrictEqual([remaining, error._tag], [[2, 1, 0], "RateLimiterError"])
      }).pipe(
        Effect.provide(RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreRedis()), Layer.provide(persistence)))
      )
    }))

  test("runs Effect's persisted cache: a second program finds what the first has looked up", () =>
    Effect.gen(function* () {
      let lookups = 0
      const program = Effect.gen(function* () {
        const lookup = ({ id }: User) =>
          Effect.sync(() => {
            lookups++
            return { id, name: `user ${id}` }
          })
        const cache = yield* PersistedCache.make(lookup, { storeId: "users", timeToLive: () => "1 minute" })
        return yield* cache.get(new User({ id: 7 }))
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Persistence.layerRedis).pipe(Layer.provide(persistence))))
      assert.deepStrictEqual(
        [yield* program, yield* program],
        [
          { id: 7, name: "user 7" },
          { id: 7, name: "user 7" }
        ]
      )
      assert.strictEqual(lookups, 1)
    }))

  test("runs Effect's persisted queue: what its first taker fails to do, the next one does", () =>
    Effect.gen(function* () {
      const queue = yield* PersistedQueue.make({
        name: "mails",
        schema: Schema.Struct({ to: Schema.String }),
        retrySchedule: Schedule.spaced("20 millis")
      })
      yield* queue.offer({ to: "ada" })
      const seen: Array<string> = []
      const attempt = (outcome: Effect.Effect<void, string>) =>
        queue.take(({ to }, { attempts }) =>
          Effect.andThen(
            Effect.sync(() => seen.push(`${to} ${attempts}`)),
            outcome
          )
        )
      yield* Effect.flip(attempt(Effect.fail("no connection")))
      yield* attempt(Effect.void)
      assert.deepStrictEqual(seen, ["ada 1", "ada 2"])
    }).pipe(
      Effect.provide(
        PersistedQueue.layer.pipe(
          Layer.provide(PersistedQueue.layerStoreRedis({ pollInterval: "20 millis" })),
          Layer.provide(persistence)
        )
      )
    ))

  test("reserves a connection that nobody shares, for commands that block", () =>
    Effect.gen(function* () {
      const redis = yield* EffectRedis.Redis
      const taken = yield* Effect.forkChild(
        Effect.scoped(Effect.flatMap(redis.reserve, ({ send }) => send("BLPOP", "jobs", "0")))
      )
      yield* redis.send("RPUSH", "jobs", "one")
      assert.deepStrictEqual(yield* Fiber.join(taken), ["jobs", "one"])
    }).pipe(Effect.provide(persistence)))

  test("hears what is published as soon as it has subscribed, and fails when the connection is lost", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const redis = yield* EffectRedis.Redis
      const messages = yield* redis.subscribe("news")
      yield* redis.send("PUBLISH", "news", "hello")
      assert.deepStrictEqual(yield* Queue.take(messages), { channel: "news", message: "hello" })
      yield* ask(outside, "CLIENT", "KILL", "TYPE", "pubsub")
      assert.strictEqual((yield* Effect.flip(Queue.take(messages)))._tag, "RedisError")
    }).pipe(Effect.scoped, Effect.provide(persistence)))

  test("keeps the pool's error as the cause of its own", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const pool = yield* ConnectionPool.make(Redis.connector({ url }), single)
      yield* ConnectionPool.acquire(pool)
      const error = yield* Effect.flip(Redis.makePersistence(pool).send("PING"))
      assert.deepInclude(error.cause, { _tag: "PoolDeadlock" })
    }).pipe(Effect.provide(silent)))
})
