/** Commands that block, and what becomes of them and of what they took when their borrower goes away. */
import { assert } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Random } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Redis from "../../src/connectors/Redis.ts"
import { DatabaseConnection } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import { capture } from "../support/Logged.ts"
import { ask, clientsOf, makePool, observer, onServer, type Pool, Server, silent, single } from "./RedisServerLayer.ts"

const isBlocked = (flags: string) => flags.includes("b")

/** Waits until the pool's only connection is blocked, as the server sees it. */
const blockedOn = Effect.fnUntraced(function* (clientName: string) {
  const outside = yield* observer
  yield* eventually(clientsOf(outside, clientName), ([client]) => client !== undefined && isBlocked(client.flags))
  return outside
})

const blockingCommands: ReadonlyArray<Redis.Command> = [
  ["BLPOP", "nothing", "0"],
  ["BRPOP", "nothing", "0"],
  ["BLMPOP", "0", "1", "nothing", "LEFT"],
  ["BLMOVE", "nothing", "elsewhere", "LEFT", "RIGHT", "0"],
  ["BZPOPMIN", "nothing", "0"],
  ["XREAD", "BLOCK", "0", "STREAMS", "nothing", "$"],
  ["WAIT", "1", "0"]
]

onServer("Redis.connector: a command that blocks", {}, (test) => {
  for (const [name, ...args] of blockingCommands) {
    test(`is ended on the server when it is interrupted, and its connection is lent again: ${name}`, () =>
      Effect.gen(function* () {
        const pool = yield* makePool("blocking")
        const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, ({ send }) => send(name, ...args)))
        const outside = yield* blockedOn("blocking")
        const [before] = yield* clientsOf(outside, "blocking")
        yield* Fiber.interrupt(borrower)
        const id = yield* ConnectionPool.use(pool, ({ send }) => send("CLIENT", "ID"))
        assert.strictEqual(id, before?.id)
        const { closed, created } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ created, closed }, { created: 1, closed: 0 })
      }))
  }

  test("is ended when it was sent by the driver's own method", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("driver")
      const borrower = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) => connection.use((client) => client.blpop("nothing", 0)))
      )
      yield* blockedOn("driver")
      yield* Fiber.interrupt(borrower)
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("PING")), "PONG")
      assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
    }))

  test("is ended when its lease is over and it was left behind", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("left")
      yield* ConnectionPool.use(pool, ({ client }) =>
        Effect.sync(() => {
          client.blpop("nothing", 0).catch(() => {})
        })
      )
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("PING")), "PONG")
      assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
    }))

  test("does not hold up what its borrower sends after giving it up", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("impatient")
      const waited = yield* ConnectionPool.use(pool, ({ send }) =>
        Effect.gen(function* () {
          const none = yield* Effect.timeoutOption(send("BLPOP", "nothing", "0"), "20 millis")
          assert.isTrue(Option.isNone(none))
          // The order to end the first one must not reach the second, which is to wait for its own time.
          const began = performance.now()
          assert.isNull(yield* send("BLPOP", "nothing", "0.2"))
          return performance.now() - began
        })
      )
      assert.isAbove(waited, 150)
      assert.isBelow(waited, 1500)
    }))

  test("is ended by a query's timeout, and its connection goes on", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const connector = DatabaseConnection.connector(Redis.connector({ url, clientName: "timeout" }), Redis.queries)
      const pool = yield* ConnectionPool.make(connector, { ...single, queryTimeout: "50 millis" })
      const [error, id] = yield* ConnectionPool.use(pool, (connection) =>
        Effect.all([Effect.flip(connection.query("BLPOP", ["nothing", 0])), connection.query("CLIENT", ["ID"])])
      )
      assert.strictEqual(error._tag, "QueryTimeout")
      if (error._tag === "QueryTimeout") assert.strictEqual(error.outcome, "cancelled")
      assert.isNumber(id)
      assert.strictEqual((yield* ConnectionPool.status(pool)).closed, 0)
    }).pipe(Effect.provide(silent)))

  for (const [seconds, outcome, closed] of [
    ["0.3", "cancelled", 0],
    ["1.5", "abandoned", 1]
  ] as const) {
    test(`or is merely slow, for ${seconds} s, is ${outcome} after a query's timeout`, () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const connector = DatabaseConnection.connector(Redis.connector({ url }), Redis.queries)
        const pool = yield* ConnectionPool.make(connector, { ...single, queryTimeout: "50 millis" })
        const error = yield* Effect.flip(ConnectionPool.use(pool, ({ query }) => query("DEBUG", ["SLEEP", seconds])))
        assert.deepInclude(error, { _tag: "QueryTimeout", outcome })
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ query }) => query("ECHO", ["mine"])), "mine")
        assert.strictEqual((yield* ConnectionPool.status(pool)).closed, closed)
      }).pipe(Effect.provide(silent)))
  }

  test("costs its connection where the user may not end it", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "ACL", "SETUSER", "reader", "on", ">right", "~*", "+@all", "-client|unblock")
      const pool = yield* makePool("reader", single, { username: "reader", password: "right" })
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, ({ send }) => send("BLPOP", "nothing", "0")))
      yield* blockedOn("reader")
      yield* Fiber.interrupt(borrower)
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("PING")), "PONG")
      const { closed, created } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ created, closed }, { created: 2, closed: 1 })
      assert.strictEqual((yield* clientsOf(outside, "reader")).length, 1)
    }))

  test("costs its connection when the server is frozen, and holds nobody up", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const pool = yield* makePool("frozen", { ...single, resetTimeout: "3 seconds" })
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, ({ send }) => send("BLPOP", "nothing", "0")))
      yield* blockedOn("frozen")
      yield* Effect.acquireRelease(server.freeze, () => server.thaw)
      const started = performance.now()
      yield* Fiber.interrupt(borrower)
      assert.isBelow(performance.now() - started, 500)
      yield* eventually(ConnectionPool.status(pool), ({ closed }) => closed === 1)
      yield* server.thaw
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("PING")), "PONG")
    }))
})

/** Interrupts takers at random moments while others put elements in. */
const race = Effect.fnUntraced(function* (pool: Pool, take: Redis.Command, elements: number) {
  const outside = yield* observer
  const received: Array<string> = []
  let isOver = false
  const taker = Effect.gen(function* () {
    const [name, ...args] = take
    const patience = yield* Random.nextIntBetween(0, 4)
    const answer = yield* Effect.timeoutOption(
      // The element is noted down in the step that receives it.
      ConnectionPool.use(pool, ({ send }) =>
        Effect.map(send<string | ReadonlyArray<string> | null>(name, ...args), (reply) => {
          if (reply !== null) received.push(typeof reply === "string" ? reply : (reply[1] ?? ""))
          return reply
        })
      ),
      patience
    )
    if (Option.isNone(answer)) return
  })
  const takers = yield* Effect.forEach(Array.from({ length: 6 }), () =>
    Effect.forkChild(Effect.whileLoop({ while: () => !isOver, body: () => taker, step() {} }))
  )
  for (let n = 1; n <= elements; n++) {
    yield* ask(outside, "RPUSH", "queue", `element ${n}`)
    if (n % 4 === 0) yield* Effect.sleep(1)
  }
  isOver = true
  yield* Effect.forEach(takers, Fiber.join)
  yield* eventually(ConnectionPool.status(pool), ({ idle, total }) => idle === total)
  return { received, left: yield* ask<ReadonlyArray<string>>(outside, "LRANGE", "queue", 0, -1), outside }
})

const elements = 800
const all = Array.from({ length: elements }, (_, n) => `element ${n + 1}`).sort()

onServer("Redis.connector: what a command took when its borrower was interrupted", {}, (test) => {
  test("is delivered, told to onUndelivered, or still there: no element is lost without a word, none comes twice", () =>
    Effect.gen(function* () {
      const undelivered: Array<string> = []
      const onUndelivered = ({ reply }: Redis.Undelivered) =>
        Effect.sync(() => {
          undelivered.push(Option.isSome(reply) ? ((reply.value as ReadonlyArray<string>)[1] ?? "") : "unknown")
        })
      const pool = yield* makePool("takers", { minConnections: 6, maxConnections: 6 }, { onUndelivered })
      const { left, received } = yield* race(pool, ["BLPOP", "queue", "0"], elements)
      assert.deepStrictEqual([...received, ...undelivered, ...left].sort(), all)
      assert.isAbove(received.length, 20)
      const { closed } = yield* ConnectionPool.status(pool)
      assert.strictEqual(closed, 0)
    }))

  test("is in the other list with BLMOVE, whoever was interrupted", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("movers", { minConnections: 6, maxConnections: 6 })
      const { left, outside } = yield* race(pool, ["BLMOVE", "queue", "taken", "LEFT", "RIGHT", "0"], elements)
      const taken = yield* ask<ReadonlyArray<string>>(outside, "LRANGE", "taken", 0, -1)
      assert.deepStrictEqual([...taken, ...left].sort(), all)
    }))

  test("is told with the command and the answer, also of a command that does not block", () =>
    Effect.gen(function* () {
      const { freeze, thaw } = yield* Server
      const told = yield* Deferred.make<Redis.Undelivered>()
      const pool = yield* makePool("popper", single, {
        onUndelivered: (undelivered) => Deferred.succeed(told, undelivered)
      })
      const outside = yield* observer
      yield* ask(outside, "RPUSH", "jobs", "one")
      yield* Effect.acquireRelease(freeze, () => thaw)
      yield* Effect.timeoutOption(
        ConnectionPool.use(pool, ({ send }) => send("LPOP", "jobs")),
        "50 millis"
      )
      yield* thaw
      assert.deepStrictEqual(yield* Deferred.await(told), {
        command: "LPOP",
        args: ["jobs"],
        reply: Option.some("one")
      })
    }))

  test("is told as unknown when the connection is lost before the answer", () =>
    Effect.gen(function* () {
      const { freeze, thaw } = yield* Server
      const told = yield* Deferred.make<Redis.Undelivered>()
      const pool = yield* makePool("cut", single, {
        onUndelivered: (undelivered) => Deferred.succeed(told, undelivered)
      })
      yield* Effect.acquireRelease(freeze, () => thaw)
      yield* Effect.timeoutOption(
        ConnectionPool.use(pool, ({ send }) => send("BLPOP", "jobs", "0")),
        "50 millis"
      )
      const { reply } = yield* Deferred.await(told)
      assert.isTrue(Option.isNone(reply))
    }))

  test("is logged by default, without what was taken", () =>
    Effect.gen(function* () {
      const { freeze, thaw, url } = yield* Server
      const { layer, lines } = capture()
      yield* Effect.gen(function* () {
        const pool = yield* ConnectionPool.make(Redis.connector({ url, clientName: "logged" }), single)
        yield* ConnectionPool.use(pool, ({ send }) => send("SADD", "secrets", "s3cret"))
        yield* Effect.acquireRelease(freeze, () => thaw)
        yield* Effect.timeoutOption(
          ConnectionPool.use(pool, ({ send }) => send("SPOP", "secrets")),
          "50 millis"
        )
        yield* thaw
        const [line] = yield* eventually(
          Effect.sync(() => lines.filter(({ text }) => text.includes("SPOP secrets"))),
          ({ length }) => length === 1
        )
        assert.strictEqual(line?.level, "Warn")
        assert.notInclude(JSON.stringify(lines), "s3cret")
      }).pipe(Effect.provide(layer))
    }))
})
