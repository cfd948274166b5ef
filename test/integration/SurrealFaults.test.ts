/**
 * A server under load, and what its clients see of it being killed, frozen and cut off, with a socket for each connection and with
 * one socket for all. Each fault is played once and recorded; the tests hold the record to one promise each.
 */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { PoolStatus } from "../../src/PoolStatus.ts"
import { eventually } from "../support/Eventually.ts"
import * as SurrealServer from "../support/SurrealServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { asOwner, type Connection, live, makePool, type Mode, modes, onServer, Server } from "./Surreal.ts"
import * as UnderLoad from "./UnderLoad.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

const retry = { initial: 100, factor: 2, max: 400, jitter: 0 } as const

const config = {
  minConnections: 2,
  maxConnections: 6,
  maxConnecting: 3,
  acquireTimeout: 2000,
  // Checking a password takes a busy server long.
  connectTimeout: 1500,
  checkTimeout: 300,
  resetTimeout: 300,
  unavailableAfter: 400,
  retry
} satisfies Input

const clients = 20
/** How long a client waits for its statements. */
const workTimeout = 600
/** A session that is ended is waited for so long, before its socket is given up. */
const patience = 1000
/** For a busy machine. */
const grace = 1000

/** All that is known of one fault when it is over. Times are those of `performance.now()`. */
interface Story {
  readonly mode: Mode
  readonly calls: ReadonlyArray<UnderLoad.Call>
  readonly beganAt: number
  readonly endedAt: number
  /** When every client had had a success with something it asked for after the fault. */
  readonly recoveredAt: number
  /** When the pool tried to connect, as the proxy saw it. */
  readonly attempts: ReadonlyArray<number>
  /** The pool and the server at rest after the load. */
  readonly status: PoolStatus
  readonly counts: SurrealServer.Counts
  /** How many records each transaction has left. */
  readonly records: ReadonlyMap<number, number>
}

class Played extends Context.Service<Played, Readonly<Record<Mode, Story>>>()("test/Surreal/Played") {}

/** Most of a story is waiting, so one is played in each mode at the same time, on a server each. */
class Servers extends Context.Service<Servers, Readonly<Record<Mode, SurrealServer.SurrealServer>>>()(
  "test/Surreal/Servers"
) {
  static readonly layer = Layer.effect(
    Servers,
    Effect.all({ socketPerConnection: SurrealServer.make(), sharedSocket: SurrealServer.make() }, { concurrency: 2 })
  )
}

type Fault = (proxy: TcpProxy.TcpProxy) => Effect.Effect<unknown, unknown, Server | Scope.Scope>

/** A client that bounds all of it at once, the wait for a connection included: the pool sees it interrupted. */
const query = (pool: Pool) => (nonce: number) =>
  Effect.timeout(
    ConnectionPool.use(pool, (connection) =>
      Effect.map(connection.query("SLEEP 2ms; RETURN $nonce", { nonce }), ([, answer]) => answer)
    ),
    workTimeout
  )

/**
 * Two records or none, by a client that bounds its statements only: the pool sees it fail. It leaves its transaction open then,
 * and to end it is the pool's affair.
 */
const transaction = (pool: Pool) => (nonce: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* ConnectionPool.acquire(pool)
      const work = connection.use(async (session) => {
        const transaction = await session.beginTransaction()
        const half = (n: number) => transaction.query("CREATE ONLY half SET nonce = $nonce, n = $n", { nonce, n })
        const [first] = await half(1).collect<[{ nonce: number }]>()
        // Slow, so that a fault is likely to come in the middle.
        await transaction.query("SLEEP 2ms")
        const [second] = await half(2).collect<[{ nonce: number }]>()
        await transaction.commit()
        return first.nonce === second.nonce ? first.nonce : undefined
      })
      return yield* Effect.timeout(work, workTimeout)
    })
  )

/** Plays a fault under load, and goes on until everything is well again or has had the time to be. */
const play = Effect.fnUntraced(function* (mode: Mode, fault: Fault) {
  const { countsFrom, port } = yield* Server
  yield* asOwner("REMOVE TABLE IF EXISTS half; DEFINE TABLE half")
  const proxy = yield* TcpProxy.make(port)
  const pool = yield* makePool(config, { mode, url: `ws://127.0.0.1:${proxy.port}/rpc` })
  const load = yield* UnderLoad.startLoad({ clients, query: query(pool), transaction: transaction(pool) })
  yield* eventually(ConnectionPool.status(pool), ({ inUse, released }) => released > 200 && inUse >= 2, "10 seconds")

  const beganAt = performance.now()
  yield* fault(proxy)
  const endedAt = performance.now()
  yield* UnderLoad.everyClientServed(load.calls, endedAt, clients)
  const recoveredAt = performance.now()
  // Some more of the load, for whatever comes late.
  yield* Effect.sleep(200)
  yield* load.end

  // The server cannot know of sockets that the pool has given up behind a cut.
  const counts = Effect.flatMap(proxy.portsOnServer, countsFrom)
  const both = Effect.all({ status: ConnectionPool.status(pool), counts })
  yield* Effect.ignore(
    eventually(both, ({ counts, status }) => status.idle === status.total && counts.sessions === status.total)
  )
  const rows = (yield* asOwner("SELECT nonce, count() AS count FROM half GROUP BY nonce")) as ReadonlyArray<{
    readonly nonce: number
    readonly count: number
  }>
  const story: Story = {
    ...(yield* both),
    mode,
    calls: load.calls,
    beganAt,
    endedAt,
    recoveredAt,
    attempts: proxy.attempts.map(({ at }) => at),
    records: new Map(rows.map(({ count, nonce }) => [nonce, count]))
  }
  return story
})

const playBoth = (fault: Fault) =>
  Effect.flatMap(Servers, (servers) => {
    const playIn = (mode: Mode) => Effect.provideService(play(mode, fault), Server, servers[mode])
    const both = { socketPerConnection: playIn("socketPerConnection"), sharedSocket: playIn("sharedSocket") }
    return Effect.all(both, { concurrency: 2 })
  })

const drops = 3

const dropRepeatedly: Fault = () =>
  Effect.gen(function* () {
    const { terminateAll } = yield* Server
    yield* terminateAll
    yield* Effect.sleep(200)
  }).pipe(Effect.repeat({ times: drops - 1 }))

/** So long that everything that waits for the server has given it up. */
const silence = workTimeout + config.resetTimeout + patience + config.unavailableAfter + 100

/** How many sockets are opened where one would do for all: when a server has gone or comes back, there is no herd. */
const socketsFor = (mode: Mode, connections: number): number => (mode === "sharedSocket" ? 1 : connections)

/** On a busy machine the check of a connection that has just been opened may run out of time, and another one is opened for it. */
const spare = 3

/** A first burst until it is known that there is no server, one attempt for each step, and a last burst when there is one again. */
const byRetrySchedule =
  (attemptMillis: number) =>
  ({ beganAt, endedAt, mode }: Story): number =>
    socketsFor(mode, config.maxConnecting) +
    UnderLoad.stepsWithin(retry, endedAt - beganAt + 50, attemptMillis) +
    // The attempt that finds it, and the others.
    1 +
    socketsFor(mode, config.maxConnections) +
    spare

const onePerDrop = ({ mode }: Story): number => drops * socketsFor(mode, config.maxConnections)

interface Expectation {
  readonly fault: Fault
  /** How many attempts to connect there may be from its beginning on. */
  readonly attempts: (story: Story) => number
  /** What some of the callers must have met, or the fault was none. */
  readonly met: ReadonlyArray<UnderLoad.Outcome>
}

const faults: Readonly<Record<string, Expectation>> = {
  "the server is killed and restarted": {
    fault: () =>
      Effect.flatMap(Server, (server) => UnderLoad.killAndRestart({ ...server, start: server.start() }, 200)),
    attempts: byRetrySchedule(0),
    met: ["SurrealDbError", "ServiceUnavailable"]
  },
  "all sockets are dropped by the server, again and again": {
    fault: dropRepeatedly,
    attempts: onePerDrop,
    met: ["SurrealDbError"]
  },
  "the server freezes and thaws": {
    fault: () =>
      Effect.flatMap(Server, (server) => UnderLoad.freezeAndThaw({ ...server, start: server.start() }, silence)),
    attempts: byRetrySchedule(config.connectTimeout),
    met: ["TimeoutError"]
  },
  "the network is cut, and only new connections work afterwards": {
    fault: (proxy) => UnderLoad.cutForGood(proxy, silence),
    attempts: byRetrySchedule(config.connectTimeout),
    met: ["TimeoutError"]
  }
}

const permitted = new Set<UnderLoad.Outcome>([
  "success",
  "SurrealDbError",
  "TimeoutError",
  "AcquireTimeout",
  "ServiceUnavailable"
])

/** An attempt that has begun when the fault ends may still run out of time, and then the longest step has to pass. */
const recoversWithin = config.connectTimeout + retry.max + grace

onServer("SurrealDb.connector: under load", () => {
  layer(Servers.layer, live)("", (it) => {
    for (const [name, { attempts, fault, met }] of Object.entries(faults)) {
      it.layer(Layer.effect(Played, playBoth(fault)), { timeout: "30 seconds" })(name, (it) => {
        for (const mode of modes) {
          const story = Effect.map(Played, (stories) => stories[mode])
          const promise = (what: string, test: Effect.Effect<void, never, Played>) =>
            it.effect(`with mode: "${mode}", ${what}`, () => test)

          promise(
            "gives every caller its own answer or a typed error",
            Effect.gen(function* () {
              const { calls } = yield* story
              const unexpected = calls.filter(({ outcome }) => !permitted.has(outcome))
              assert.deepStrictEqual(unexpected, [])
            })
          )

          promise(
            "lets callers feel it",
            Effect.gen(function* () {
              const { calls } = yield* story
              assert.includeMembers([...new Set(calls.map(({ outcome }) => outcome))], [...met])
            })
          )

          promise(
            "lets nobody wait beyond the timeouts",
            Effect.gen(function* () {
              const { calls } = yield* story
              const longest = Math.max(...calls.map(({ millis }) => millis))
              assert.isAtMost(longest, config.acquireTimeout + workTimeout + grace)
            })
          )

          promise(
            "serves every client again soon after its end",
            Effect.gen(function* () {
              const { endedAt, recoveredAt } = yield* story
              assert.isAtMost(recoveredAt - endedAt, recoversWithin)
            })
          )

          promise(
            "fails nobody any more once every client has been served",
            Effect.gen(function* () {
              const { calls, recoveredAt } = yield* story
              const failed = calls.filter(({ askedAt, outcome }) => askedAt >= recoveredAt && outcome !== "success")
              assert.deepStrictEqual(failed, [])
            })
          )

          promise(
            "makes no more attempts to connect than it may",
            Effect.gen(function* () {
              const played = yield* story
              const made = played.attempts.filter((at) => at >= played.beganAt).length
              assert.isAtMost(made, attempts(played))
            })
          )

          promise(
            "leaves no half of a transaction behind",
            Effect.gen(function* () {
              const { records } = yield* story
              assert.deepStrictEqual(
                [...records].filter(([, count]) => count !== 2),
                []
              )
            })
          )

          promise(
            "loses no transaction that a client saw committed",
            Effect.gen(function* () {
              const { calls, records } = yield* story
              const committed = calls.filter(({ kind, outcome }) => kind === "transaction" && outcome === "success")
              assert.isAbove(committed.length, 50)
              assert.deepStrictEqual(
                committed.filter(({ nonce }) => !records.has(nonce)),
                []
              )
            })
          )

          promise(
            "leaks nothing",
            Effect.gen(function* () {
              const { acquired, closed, created, inUse, released, total, waiting } = (yield* story).status
              assert.deepStrictEqual(
                { inUse, waiting, released, total },
                { inUse: 0, waiting: 0, released: acquired, total: created - closed }
              )
            })
          )

          promise(
            "has as many sessions on the server in the end as connections, and nothing open in them",
            Effect.gen(function* () {
              const { counts, mode, status } = yield* story
              assert.deepStrictEqual(counts, {
                sockets: mode === "sharedSocket" ? 1 : status.total,
                sessions: status.total,
                transactions: 0,
                liveQueries: 0
              })
            })
          )
        }
      })
    }
  })
})
