/**
 * A real server under load, and what its clients see of it being killed, frozen and cut off. Each fault is played once and
 * recorded; the tests hold the record to one promise each.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type Scope } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { AcquireError } from "../../src/PoolError.ts"
import type { PoolStatus } from "../../src/PoolStatus.ts"
import { eventually } from "../support/Eventually.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import {
  type Connection,
  live,
  makePool,
  observer,
  type Pool,
  rowsOf,
  Server,
  serverWith,
  sessionsOf,
  titled,
  valueOf
} from "./MySqlServer.ts"

const retry = { initial: 100, factor: 2, max: 400, jitter: 0 } as const

const config = {
  minConnections: 2,
  maxConnections: 8,
  maxConnecting: 4,
  acquireTimeout: 1000,
  connectTimeout: 500,
  checkTimeout: 500,
  resetTimeout: 500,
  closeTimeout: 1500,
  unavailableAfter: 400,
  retry
} satisfies Input

const clients = 40
/** How long a client waits for its statements. */
const workTimeout = 600
/** How long a statement that was interrupted is given to end, before its connection is given up. */
const cancelPatience = 900
/** For a busy machine. */
const grace = 500
/** An attempt that has begun when the fault ends may still run out of time, and then the longest step has to pass. */
const recoversWithin = config.connectTimeout + retry.max + grace

/** `TimeoutError` is the client's own impatience, `wrong` an answer to somebody else's question. */
type Outcome = "success" | "wrong" | "SqlError" | "TimeoutError" | AcquireError["_tag"]

/** What one client asked for once, and what came of it. */
interface Call {
  readonly nonce: number
  readonly kind: "query" | "transaction"
  readonly client: number
  readonly outcome: Outcome
  readonly askedAt: number
  readonly millis: number
}

/** All that is known of one fault when it is over. Times are those of `performance.now()`. */
interface Story {
  readonly calls: ReadonlyArray<Call>
  readonly beganAt: number
  readonly endedAt: number
  /** When every client had had a success with something it asked for after the fault. */
  readonly recoveredAt: number
  /** When the pool tried to connect, as the proxy saw it. */
  readonly attempts: ReadonlyArray<number>
  /** How many sessions were ended one by one, by `KILL`. */
  readonly terminated: number
  /** The most sessions the server had at once, without those that the client has ended and the server cannot know it. */
  readonly mostSessions: number
  /** Such sessions at the end. */
  readonly sessions: number
  /** The pool at rest after the load. */
  readonly status: PoolStatus
  /** How many rows each transaction has left. */
  readonly rows: ReadonlyMap<number, number>
}

class Played extends Context.Service<Played, Story>()("test/Played") {}

interface Scene {
  readonly applicationName: string
  readonly proxy: TcpProxy.TcpProxy
  readonly outside: Connection
  /** The numbers of sessions that the fault has ended one by one. */
  readonly terminated: Set<number>
}

/** What is done to a server while clients ask. It is over when the effect is. */
type Fault = (scene: Scene) => Effect.Effect<unknown, unknown, Server | Scope.Scope>

/** A client that bounds all of it at once, the wait for a connection included: the pool sees it interrupted. */
const query = (pool: Pool, nonce: number) =>
  Effect.timeout(
    ConnectionPool.use(pool, (connection) =>
      Effect.map(valueOf(connection, "select ? from (select sleep(0.002)) as pause", [nonce]), Number)
    ),
    workTimeout
  )

/**
 * Two rows or none, by a client that bounds its statements only: the pool sees it fail. It leaves its transaction open
 * then, and to end it is the pool's affair.
 */
const transaction = (pool: Pool, nonce: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* ConnectionPool.acquire(pool)
      // Slow, so that a fault is likely to come in the middle.
      const insert = connection.execute("insert into halves select ? from (select sleep(0.003)) as pause", [nonce])
      const work = Effect.gen(function* () {
        yield* connection.query("begin")
        const first = yield* insert
        const second = yield* insert
        yield* connection.query("commit")
        return first.affectedRows + second.affectedRows === 2 ? nonce : undefined
      })
      return yield* Effect.timeout(work, workTimeout)
    })
  )

/** Clients that never stop asking, one question at a time each, until the load ends. */
const startLoad = Effect.fnUntraced(function* (pool: Pool) {
  const calls: Array<Call> = []
  let isOver = false
  let lastNonce = 0

  const ask = Effect.fnUntraced(function* (client: number) {
    const nonce = ++lastNonce
    const kind = nonce % 2 === 0 ? "query" : "transaction"
    const askedAt = performance.now()
    const outcome: Outcome = yield* (kind === "query" ? query : transaction)(pool, nonce).pipe(
      Effect.map((answer) => (answer === nonce ? "success" : "wrong")),
      Effect.catch((error) => Effect.succeed(error._tag))
    )
    calls.push({ nonce, kind, client, outcome, askedAt, millis: performance.now() - askedAt })
    // Whoever is refused at once does not ask again at once.
    if (outcome !== "success") yield* Effect.sleep(10)
  })
  const fibers = yield* Effect.forEach(Array.from({ length: clients }), (_, client) =>
    Effect.forkChild(Effect.whileLoop({ while: () => !isOver, body: () => ask(client), step() {} }))
  )
  const end = Effect.suspend(() => {
    isOver = true
    return Effect.forEach(fibers, Fiber.join, { discard: true })
  })
  return { calls, end }
})

/** How many sessions the server has for the pool, without those that the pool has ended behind a cut. */
const countSessions = Effect.fnUntraced(function* (outside: Connection, { applicationName, proxy }: Scene) {
  const sessions = yield* sessionsOf(outside, applicationName)
  const ports = yield* proxy.portsOnServer
  return sessions.filter(({ port }) => ports.has(port)).length
})

/** Watches the sessions, through the server's outages too. */
const watchSessions = Effect.fnUntraced(function* (scene: Scene) {
  const seen = { most: 0 }
  const watch = Effect.scoped(
    Effect.gen(function* () {
      const outside = yield* observer
      while (true) {
        seen.most = Math.max(seen.most, yield* countSessions(outside, scene))
        yield* Effect.sleep(5)
      }
    })
  )
  yield* Effect.forkScoped(Effect.forever(Effect.catch(watch, () => Effect.sleep(20))))
  return seen
})

/** One that comes to cancel a statement says so when it is greeted: no attempt of the pool's. */
const isCancel = ({ opening }: TcpProxy.Attempt): boolean => opening?.includes("(cancel)") === true

/** Waits until every client has been served with something it asked for after `time`, or could have been long ago. */
const everyClientServed = (calls: ReadonlyArray<Call>, time: number) => {
  const served = Effect.sync(() => {
    const successes = calls.filter(({ askedAt, outcome }) => askedAt >= time && outcome === "success")
    return new Set(successes.map(({ client }) => client)).size
  })
  return Effect.ignore(eventually(served, (count) => count === clients, "10 seconds"))
}

/** Plays a fault under load, and goes on until everything is well again or has had the time to be. */
const play = Effect.fnUntraced(function* (name: string, fault: Fault) {
  const applicationName = name
  const { port } = yield* Server
  const outside = yield* observer
  yield* outside.query("drop table if exists halves")
  yield* outside.query("create table halves (nonce int) engine = innodb")
  const proxy = yield* TcpProxy.make(port)
  const pool = yield* makePool(applicationName, config, { port: proxy.port })
  const scene: Scene = { applicationName, proxy, outside, terminated: new Set() }
  const seen = yield* watchSessions(scene)
  const load = yield* startLoad(pool)
  yield* eventually(ConnectionPool.status(pool), ({ inUse, released }) => released > 200 && inUse === 8, "10 seconds")

  const beganAt = performance.now()
  yield* fault(scene)
  const endedAt = performance.now()
  yield* everyClientServed(load.calls, endedAt)
  const recoveredAt = performance.now()
  // Some more of the load, for whatever comes late.
  yield* Effect.sleep(300)
  yield* load.end

  yield* Effect.ignore(
    eventually(ConnectionPool.status(pool), ({ idle, total }) => idle === total && total >= config.minConnections)
  )
  // The first one may have died with the server.
  const afterwards = yield* observer
  const both = Effect.all({ status: ConnectionPool.status(pool), sessions: countSessions(afterwards, scene) })
  yield* Effect.ignore(eventually(both, ({ sessions, status }) => status.total === sessions))
  const rows = yield* rowsOf(afterwards, "select nonce, count(*) as count from halves group by nonce")
  const story: Story = {
    ...(yield* both),
    calls: load.calls,
    beganAt,
    endedAt,
    recoveredAt,
    attempts: proxy.attempts.filter((attempt) => !isCancel(attempt)).map(({ at }) => at),
    terminated: scene.terminated.size,
    mostSessions: seen.most,
    rows: new Map(rows.map(({ count, nonce }) => [Number(nonce), Number(count)]))
  }
  return story
})

/** Ends every session of the pool 10 times, at intervals that leave it time to open others. */
const terminateRepeatedly: Fault = ({ applicationName, outside, terminated }) =>
  Effect.gen(function* () {
    for (const { id } of yield* sessionsOf(outside, applicationName)) {
      // It may have ended by itself since.
      yield* Effect.ignore(outside.query(`kill ${id}`))
      terminated.add(id)
    }
    yield* Effect.sleep(100)
  }).pipe(Effect.repeat({ times: 9 }))

const killAndRestart: Fault = () =>
  Effect.gen(function* () {
    const server = yield* Server
    let isDown = true
    const restart = Effect.suspend(() => {
      if (!isDown) return Effect.void
      isDown = false
      return server.start
    })
    // Whatever the test finds, there must be a server for the next one.
    yield* Effect.acquireRelease(server.kill, () => Effect.orDie(restart))
    yield* Effect.sleep(1000)
    yield* restart
  })

/** So long that the driver gives up what was running, and the pool then has the time to call itself unavailable. */
const longSilence = workTimeout + cancelPatience + config.connectTimeout + config.unavailableAfter + 500

const freezeAndThaw: Fault = () =>
  Effect.gen(function* () {
    const server = yield* Server
    yield* Effect.acquireRelease(server.freeze, () => server.thaw)
    yield* Effect.sleep(longSilence)
    yield* server.thaw
  })

/** Longer than any timeout but the driver's. */
const cutAndHeal: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("mute")
    yield* Effect.sleep(1500)
    yield* proxy.heal
  })

/** Everything arrives, and takes up to 40 ms to. */
const slowNetwork: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("mute")
    yield* Effect.sleep(40)
    yield* proxy.heal
    yield* Effect.sleep(1)
  }).pipe(Effect.repeat({ times: 24 }))

const cutForGood: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("mute")
    yield* Effect.sleep(1700)
    yield* proxy.healForNewcomers
  })

const resetAndRefuse: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("reset")
    yield* proxy.reset
    yield* Effect.sleep(1000)
    yield* proxy.heal
  })

/** How many steps of the retry schedule fit in a time, if every attempt takes so long to fail. */
const stepsWithin = (millis: number, attemptMillis: number): number => {
  let steps = 0
  let delay: number = retry.initial
  for (let at = attemptMillis + delay; at <= millis; at += attemptMillis + delay) {
    steps++
    delay = Math.min(delay * retry.factor, retry.max)
  }
  return steps
}

/** The attempts during an outage: one first burst, until the first of them has failed, and then one for each step. */
const byRetrySchedule =
  (attemptMillis: number) =>
  ({ attempts, beganAt, endedAt }: Story) => {
    const made = attempts.filter((at) => at >= beganAt && at < endedAt)
    const outage = endedAt - (made[0] ?? endedAt)
    // The proxy sees the first attempt a little after it was made.
    // Behind silence nobody sees which of them came to cancel a statement: one for each connection that was in use.
    const cancels = attemptMillis === 0 ? 0 : config.maxConnections
    return { made: made.length, allowed: config.maxConnecting + cancels + stepsWithin(outage + 50, attemptMillis) }
  }

/**
 * The attempts of the whole story: one for every place, and one for every session that was ended. A few more, for what a busy
 * machine has no time to check.
 */
const onePerSession = ({ attempts, terminated }: Story) => ({
  made: attempts.length,
  allowed: config.maxConnections + terminated + 4
})

interface Expectation {
  readonly fault: Fault
  /** What some of the callers must have met, or the fault was none. */
  readonly met: ReadonlyArray<Outcome>
  /** Nobody is told that the server is gone: a statement that was running is the driver's to give up. */
  readonly isSilent: boolean
  readonly attempts: (story: Story) => { readonly made: number; readonly allowed: number }
}

const faults: Readonly<Record<string, Expectation>> = {
  "all sessions are terminated, again and again": {
    fault: terminateRepeatedly,
    met: ["SqlError"],
    isSilent: false,
    attempts: onePerSession
  },
  "the server is killed and restarted": {
    fault: killAndRestart,
    met: ["SqlError", "ServiceUnavailable"],
    isSilent: false,
    attempts: byRetrySchedule(0)
  },
  "every connection is reset and new ones are refused for a while": {
    fault: resetAndRefuse,
    met: ["SqlError", "ServiceUnavailable"],
    isSilent: false,
    attempts: byRetrySchedule(0)
  },
  "the server freezes and thaws": {
    fault: freezeAndThaw,
    met: ["TimeoutError", "AcquireTimeout", "ServiceUnavailable"],
    isSilent: true,
    attempts: byRetrySchedule(config.connectTimeout)
  },
  "the network is cut and healed": {
    fault: cutAndHeal,
    met: ["TimeoutError", "AcquireTimeout"],
    isSilent: true,
    attempts: byRetrySchedule(config.connectTimeout)
  },
  "the network is slow": {
    fault: slowNetwork,
    met: ["success"],
    isSilent: true,
    attempts: onePerSession
  },
  "the network is cut, and only new connections work afterwards": {
    fault: cutForGood,
    met: ["TimeoutError", "AcquireTimeout"],
    isSilent: true,
    attempts: byRetrySchedule(config.connectTimeout)
  }
}

/** Whoever would wait too long behind those who come back all at once may be refused early. */
const permitted = new Set<Outcome>([
  "success",
  "SqlError",
  "TimeoutError",
  "AcquireTimeout",
  "ServiceUnavailable",
  "PoolOverloaded"
])

describe.skipIf(unavailable !== undefined)(titled("MySql.connector: under load"), () => {
  layer(serverWith(), live)("on a real server", (it) => {
    for (const [name, { attempts, fault, isSilent, met }] of Object.entries(faults)) {
      it.layer(Layer.effect(Played, play(name, fault)), { timeout: "30 seconds" })(name, (it) => {
        it.effect("gives every caller its own answer or a typed error", () =>
          Effect.gen(function* () {
            const { calls } = yield* Played
            const unexpected = calls.filter(({ outcome }) => !permitted.has(outcome))
            assert.deepStrictEqual([...new Set(unexpected.map(({ outcome }) => outcome))], [])
          })
        )

        it.effect("lets callers feel it", () =>
          Effect.gen(function* () {
            const { calls } = yield* Played
            assert.includeMembers([...new Set(calls.map(({ outcome }) => outcome))], [...met])
          })
        )

        it.effect("lets nobody wait beyond the timeouts", () =>
          Effect.gen(function* () {
            const { beganAt, calls, endedAt } = yield* Played
            // The client's timeout ends when the driver has let go of the statement.
            const lettingGo = isSilent ? Math.min(cancelPatience, endedAt - beganAt) : 0
            const longest = Math.max(...calls.map(({ millis }) => millis))
            assert.isAtMost(longest, config.acquireTimeout + workTimeout + lettingGo + grace)
          })
        )

        it.effect("serves every client again soon after its end", () =>
          Effect.gen(function* () {
            const { endedAt, recoveredAt } = yield* Played
            assert.isAtMost(recoveredAt - endedAt, recoversWithin)
          })
        )

        it.effect("fails nobody any more once every client has been served", () =>
          Effect.gen(function* () {
            const { calls, recoveredAt } = yield* Played
            const failed = calls.filter(({ askedAt, outcome }) => askedAt >= recoveredAt && outcome !== "success")
            assert.deepStrictEqual(failed, [])
          })
        )

        it.effect("makes no more attempts to connect than it may", () =>
          Effect.gen(function* () {
            const { allowed, made } = attempts(yield* Played)
            assert.isAtMost(made, allowed)
          })
        )

        it.effect("never has more sessions on the server than connections are allowed", () =>
          Effect.gen(function* () {
            const { mostSessions } = yield* Played
            assert.isAbove(mostSessions, 1)
            assert.isAtMost(mostSessions, config.maxConnections)
          })
        )

        it.effect("leaves no half of a transaction behind", () =>
          Effect.gen(function* () {
            const { rows } = yield* Played
            assert.deepStrictEqual(
              [...rows].filter(([, count]) => count !== 2),
              []
            )
          })
        )

        it.effect("loses no transaction that a client saw committed", () =>
          Effect.gen(function* () {
            const { calls, rows } = yield* Played
            const committed = calls.filter(({ kind, outcome }) => kind === "transaction" && outcome === "success")
            assert.isAbove(committed.length, 50)
            assert.deepStrictEqual(
              committed.filter(({ nonce }) => !rows.has(nonce)),
              []
            )
          })
        )

        it.effect("leaks nothing", () =>
          Effect.gen(function* () {
            const { status } = yield* Played
            const { acquired, closed, created, inUse, released, total, waiting } = status
            assert.deepStrictEqual(
              { inUse, waiting, released, total },
              { inUse: 0, waiting: 0, released: acquired, total: created - closed }
            )
          })
        )

        it.effect("has as many connections in the end as the server has sessions", () =>
          Effect.gen(function* () {
            const { sessions, status } = yield* Played
            assert.strictEqual(sessions, status.total)
          })
        )
      })
    }
  })
})
