/**
 * A real server under load, and what its clients see of it being killed, frozen and cut off. Each fault is played once and
 * recorded; the tests hold the record to one promise each.
 */
import { assert, it as plainIt, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type Scope } from "effect"
import type { Redis as IORedis } from "ioredis"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { AcquireError } from "../../src/PoolError.ts"
import type { PoolStatus } from "../../src/PoolStatus.ts"
import { eventually } from "../support/Eventually.ts"
import * as RedisServer from "../support/RedisServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { ask, clientsOf, makePool, observer, type Pool, Server, serverWith } from "./RedisServerLayer.ts"

const retry = { initial: 100, factor: 2, max: 400, jitter: 0 } as const

const config = {
  minConnections: 2,
  maxConnections: 8,
  maxConnecting: 4,
  acquireTimeout: 1000,
  connectTimeout: 300,
  checkTimeout: 300,
  resetTimeout: 300,
  closeTimeout: 2000,
  unavailableAfter: 250,
  retry
} satisfies Input

const clients = 40
/** How long a client waits for its commands. */
const workTimeout = 300
/** For a busy machine. */
const grace = 500
/** An attempt that has begun when the fault ends may still run out of time, and then the longest step has to pass. */
const recoversWithin = config.connectTimeout + retry.max + grace

/** `TimeoutError` is the client's own impatience, `wrong` an answer to somebody else's question. */
type Outcome = "success" | "wrong" | "RedisError" | "TimeoutError" | AcquireError["_tag"]

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
  /** How many connections were ended one by one, by `CLIENT KILL`. */
  readonly killed: number
  /** The most connections the server had at once, without those that the client has ended and the server cannot know it. */
  readonly mostConnections: number
  /** Such connections at the end. */
  readonly connections: number
  /** The pool at rest after the load. */
  readonly status: PoolStatus
  /** How often each transaction has counted itself; each does so twice. */
  readonly counts: ReadonlyMap<number, number>
  /** How many transactions the server has executed. */
  readonly executed: number
}

class Played extends Context.Service<Played, Story>()("test/Played") {}

interface Scene {
  readonly clientName: string
  readonly proxy: TcpProxy.TcpProxy
  readonly outside: IORedis
  /** The numbers of connections that the fault has ended one by one. */
  readonly killed: Set<number>
}

/** What is done to a server while clients ask. It is over when the effect is. */
type Fault = (scene: Scene) => Effect.Effect<unknown, unknown, Server | Scope.Scope>

/** A client that bounds all of it at once, the wait for a connection included: the pool sees it interrupted. */
const query = (pool: Pool, nonce: number) =>
  Effect.timeout(
    ConnectionPool.use(pool, ({ send }) => Effect.map(send("ECHO", nonce), Number)),
    workTimeout
  )

/**
 * Everything or nothing, by a client that bounds its commands only: the pool sees it fail. It leaves its transaction open
 * then, and to end it is the pool's affair. One command at a time, so that a fault is likely to come in the middle.
 */
const transaction = (pool: Pool, nonce: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { send } = yield* ConnectionPool.acquire(pool)
      const work = Effect.gen(function* () {
        yield* send("MULTI")
        yield* send("HINCRBY", "counts", nonce, 1)
        yield* Effect.sleep(1)
        yield* send("HINCRBY", "counts", nonce, 1)
        yield* send("INCR", "executed")
        const [first, second] = yield* send<ReadonlyArray<number>>("EXEC")
        return first === 1 && second === 2 ? nonce : undefined
      })
      return yield* Effect.timeout(work, workTimeout)
    })
  )

/** Clients that never stop asking, one question at a time each, until the load ends. */
const startLoad = Effect.fnUntraced(function* (pool: Pool) {
  const calls: Array<Call> = []
  let isOver = false
  let lastNonce = 0

  const askOnce = Effect.fnUntraced(function* (client: number) {
    const nonce = ++lastNonce
    const kind = nonce % 2 === 0 ? "query" : "transaction"
    const askedAt = performance.now()
    const outcome: Outcome = yield* (kind === "query" ? query : transaction)(pool, nonce).pipe(
      Effect.map((answer) => (answer === nonce ? "success" : "wrong")),
      Effect.catch((error) => Effect.succeed(error._tag))
    )
    calls.push({ nonce, kind, client, outcome, askedAt, millis: performance.now() - askedAt })
    // Whoever is refused at once does not ask again at once; and the server is faster than a test has need of.
    yield* Effect.sleep(outcome === "success" ? 2 : 10)
  })
  const fibers = yield* Effect.forEach(Array.from({ length: clients }), (_, client) =>
    Effect.forkChild(Effect.whileLoop({ while: () => !isOver, body: () => askOnce(client), step() {} }))
  )
  const end = Effect.suspend(() => {
    isOver = true
    return Effect.forEach(fibers, Fiber.join, { discard: true })
  })
  return { calls, end }
})

/** How many connections the server has for the pool, without those that the pool has ended behind a cut. */
const countConnections = Effect.fnUntraced(function* ({ clientName, outside, proxy }: Scene) {
  const found = yield* clientsOf(outside, clientName)
  const ports = yield* proxy.portsOnServer
  return found.filter(({ port }) => ports.has(port)).length
})

/** Watches the connections, through the server's outages too. */
const watchConnections = Effect.fnUntraced(function* (scene: Scene) {
  const seen = { most: 0 }
  const watch = Effect.gen(function* () {
    seen.most = Math.max(seen.most, yield* countConnections(scene))
    yield* Effect.sleep(5)
  })
  yield* Effect.forkScoped(Effect.forever(watch))
  return seen
})

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
  const clientName = name.replaceAll(/\W+/g, "-")
  const { port } = yield* Server
  const outside = yield* observer
  yield* ask(outside, "DEL", "counts", "executed")
  const proxy = yield* TcpProxy.make(port)
  const pool = yield* makePool(clientName, config, { port: proxy.port })
  const scene: Scene = { clientName, proxy, outside, killed: new Set() }
  const seen = yield* watchConnections(scene)
  const load = yield* startLoad(pool)
  yield* eventually(ConnectionPool.status(pool), ({ inUse, released }) => released > 500 && inUse === 8, "10 seconds")

  const beganAt = performance.now()
  yield* fault(scene)
  const endedAt = performance.now()
  yield* everyClientServed(load.calls, endedAt)
  const recoveredAt = performance.now()
  // Some more of the load, for whatever comes late.
  yield* Effect.sleep(200)
  yield* load.end

  yield* Effect.ignore(
    eventually(ConnectionPool.status(pool), ({ idle, total }) => idle === total && total >= config.minConnections)
  )
  const both = Effect.all({ status: ConnectionPool.status(pool), connections: countConnections(scene) })
  yield* Effect.ignore(eventually(both, ({ connections, status }) => status.total === connections))
  const counts = yield* ask<ReadonlyArray<string>>(outside, "HGETALL", "counts")
  const story: Story = {
    ...(yield* both),
    calls: load.calls,
    beganAt,
    endedAt,
    recoveredAt,
    attempts: proxy.attempts.map(({ at }) => at),
    killed: scene.killed.size,
    mostConnections: seen.most,
    counts: new Map(counts.flatMap((nonce, at) => (at % 2 === 0 ? [[Number(nonce), Number(counts[at + 1])]] : []))),
    executed: Number(yield* ask(outside, "GET", "executed"))
  }
  return story
})

/** Ends every connection of the pool 15 times, at intervals that leave it time to open others. */
const killRepeatedly: Fault = ({ clientName, killed, outside }) =>
  Effect.gen(function* () {
    for (const { id } of yield* clientsOf(outside, clientName)) {
      killed.add(id)
      yield* ask(outside, "CLIENT", "KILL", "ID", id)
    }
    yield* Effect.sleep(40)
  }).pipe(Effect.repeat({ times: 14 }))

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
    yield* Effect.sleep(700)
    yield* restart
  })

/** So long that every connection is given up, and the pool then has the time to call itself unavailable. */
const longSilence = workTimeout + config.checkTimeout + config.connectTimeout + config.unavailableAfter + 300

const freezeAndThaw: Fault = () =>
  Effect.gen(function* () {
    const server = yield* Server
    yield* Effect.acquireRelease(server.freeze, () => server.thaw)
    yield* Effect.sleep(longSilence)
    yield* server.thaw
  })

/** The server answers nobody for as long as one command takes: longer than a client waits, shorter than an outage. */
const sleepOften: Fault = ({ outside }) =>
  Effect.gen(function* () {
    yield* ask(outside, "DEBUG", "SLEEP", "0.4")
    yield* Effect.sleep(100)
  }).pipe(Effect.repeat({ times: 1 }))

const cutAndHeal: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("mute")
    yield* Effect.sleep(900)
    yield* proxy.heal
  })

const cutForGood: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("mute")
    yield* Effect.sleep(longSilence)
    yield* proxy.healForNewcomers
  })

const resetAndRefuse: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("reset")
    yield* proxy.reset
    yield* Effect.sleep(700)
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
    return { made: made.length, allowed: config.maxConnecting + stepsWithin(outage + 50, attemptMillis) }
  }

/** The attempts of the whole story: one for every place, and one for every connection that was ended. */
const onePerConnection = ({ attempts, killed }: Story) => ({
  made: attempts.length,
  allowed: config.maxConnections + killed
})

/** The attempts of the whole story: one for every connection that the pool has had, and for those that failed. */
const onePerClose = ({ attempts, status }: Story) => ({
  made: attempts.length,
  allowed: status.created + status.connectFailures
})

interface Expectation {
  readonly fault: Fault
  /** What some of the callers must have met, or the fault was none. */
  readonly met: ReadonlyArray<Outcome>
  readonly attempts: (story: Story) => { readonly made: number; readonly allowed: number }
}

const faults: Readonly<Record<string, Expectation>> = {
  "all connections are killed, again and again": {
    fault: killRepeatedly,
    met: ["RedisError"],
    attempts: onePerConnection
  },
  "the server is killed and restarted": {
    fault: killAndRestart,
    met: ["RedisError", "ServiceUnavailable"],
    attempts: byRetrySchedule(0)
  },
  "every connection is reset and new ones are refused for a while": {
    fault: resetAndRefuse,
    met: ["RedisError", "ServiceUnavailable"],
    attempts: byRetrySchedule(0)
  },
  "the server freezes and thaws": {
    fault: freezeAndThaw,
    met: ["TimeoutError", "ServiceUnavailable"],
    attempts: byRetrySchedule(config.connectTimeout)
  },
  "the server is busy with one slow command": {
    fault: sleepOften,
    met: ["TimeoutError"],
    attempts: onePerClose
  },
  "the network is cut and healed": {
    fault: cutAndHeal,
    met: ["TimeoutError"],
    attempts: byRetrySchedule(config.connectTimeout)
  },
  "the network is cut, and only new connections work afterwards": {
    fault: cutForGood,
    met: ["TimeoutError", "ServiceUnavailable"],
    attempts: byRetrySchedule(config.connectTimeout)
  }
}

const permitted = new Set<Outcome>(["success", "RedisError", "TimeoutError", "AcquireTimeout", "ServiceUnavailable"])

// What the server has answered must outlive its SIGKILL: it is written to a file before it is answered.
const durable = { settings: { appendonly: "yes", appendfsync: "no" } }

if (RedisServer.unavailable !== undefined) {
  for (const name of Object.keys(faults)) {
    plainIt.skip(`Redis.connector: under load: ${name} (not run: ${RedisServer.unavailable})`, () => {})
  }
} else {
  layer(serverWith(durable), { excludeTestServices: true, timeout: "30 seconds" })(
    "Redis.connector: under load",
    (it) => {
      for (const [name, { attempts, fault, met }] of Object.entries(faults)) {
        it.layer(Layer.effect(Played, play(name, fault)), { timeout: "30 seconds" })(name, (it) => {
          it.effect("gives every caller its own answer or a typed error", () =>
            Effect.gen(function* () {
              const { calls } = yield* Played
              const unexpected = calls.filter(({ outcome }) => !permitted.has(outcome))
              assert.deepStrictEqual(unexpected, [])
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
              const { calls } = yield* Played
              const longest = Math.max(...calls.map(({ millis }) => millis))
              assert.isAtMost(longest, config.acquireTimeout + workTimeout + grace)
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

          it.effect("never has more connections on the server than are allowed", () =>
            Effect.gen(function* () {
              const { mostConnections } = yield* Played
              assert.isAbove(mostConnections, 1)
              assert.isAtMost(mostConnections, config.maxConnections)
            })
          )

          it.effect("executes every transaction whole or not at all, and none of it outside", () =>
            Effect.gen(function* () {
              const { counts, executed } = yield* Played
              const halves = [...counts].filter(([, count]) => count !== 2)
              assert.deepStrictEqual({ halves, executed }, { halves: [], executed: counts.size })
            })
          )

          it.effect("loses no transaction that a client saw executed", () =>
            Effect.gen(function* () {
              const { calls, counts } = yield* Played
              const done = calls.filter(({ kind, outcome }) => kind === "transaction" && outcome === "success")
              assert.isAbove(done.length, 100)
              assert.deepStrictEqual(
                done.filter(({ nonce }) => !counts.has(nonce)),
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

          it.effect("has as many connections in the end as the server has", () =>
            Effect.gen(function* () {
              const { connections, status } = yield* Played
              assert.strictEqual(connections, status.total)
            })
          )
        })
      }
    }
  )
}
