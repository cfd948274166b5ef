import { it as plainIt, layer } from "@effect/vitest"
import { Context, Effect, type Scope } from "effect"
import type { Redis as IORedis } from "ioredis"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as RedisServer from "../support/RedisServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { ask, clientsOf, makePool, observer, type Pool, Server, serverWith } from "./RedisServerLayer.ts"
import * as UnderLoad from "./UnderLoad.ts"

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
  retry: { initial: 100, factor: 2, max: 400, jitter: 0 }
} satisfies Input

/** How long a client waits for its commands. */
const workTimeout = 300

class Played extends Context.Service<Played, UnderLoad.Story>()("test/Played") {}

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
const query = (pool: Pool) => (nonce: number) =>
  Effect.timeout(
    ConnectionPool.use(pool, ({ send }) => Effect.map(send("ECHO", nonce), Number)),
    workTimeout
  )

/**
 * Everything or nothing, by a client that bounds its commands only: the pool sees it fail. It leaves its transaction open
 * then, and to end it is the pool's affair. One command at a time, so that a fault is likely to come in the middle.
 */
const transaction = (pool: Pool) => (nonce: number) =>
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

/** How many connections the server has for the pool, without those that the pool has ended behind a cut. */
const countConnections = Effect.fnUntraced(function* ({ clientName, outside, proxy }: Scene) {
  const found = yield* clientsOf(outside, clientName)
  const ports = yield* proxy.portsOnServer
  return found.filter(({ port }) => ports.has(port)).length
})

/** How often each transaction has counted itself. What was executed outside of a transaction is a half, too. */
const countHalves = Effect.fnUntraced(function* (outside: IORedis) {
  const counts = yield* ask<ReadonlyArray<string>>(outside, "HGETALL", "counts")
  const halves = new Map(
    counts.flatMap((nonce, at) => (at % 2 === 0 ? [[Number(nonce), Number(counts[at + 1])] as const] : []))
  )
  const executed = Number(yield* ask(outside, "GET", "executed"))
  if (executed !== halves.size) halves.set(-1, executed - halves.size)
  return halves
})

const play = Effect.fnUntraced(function* (name: string, fault: Fault) {
  const clientName = name.replaceAll(/\W+/g, "-")
  const { port } = yield* Server
  const outside = yield* observer
  yield* ask(outside, "DEL", "counts", "executed")
  const proxy = yield* TcpProxy.make(port)
  const pool = yield* makePool(clientName, config, { port: proxy.port })
  const scene: Scene = { clientName, proxy, outside, killed: new Set() }
  return yield* UnderLoad.play({
    pool,
    proxy,
    settings: config,
    query: query(pool),
    transaction: transaction(pool),
    // The server is faster than a test has need of.
    rest: 2,
    fault: fault(scene),
    sessions: countConnections(scene),
    watch: (note) => Effect.forever(Effect.andThen(Effect.map(countConnections(scene), note), Effect.sleep(5))),
    ended: () => scene.killed.size,
    halves: countHalves(outside)
  })
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

/** So long that every connection is given up, and the pool then has the time to call itself unavailable. */
const longSilence = workTimeout + config.checkTimeout + config.connectTimeout + config.unavailableAfter + 300

/** The server answers nobody for as long as one command takes: longer than a client waits, shorter than an outage. */
const sleepOften: Fault = ({ outside }) =>
  Effect.gen(function* () {
    yield* ask(outside, "DEBUG", "SLEEP", "0.4")
    yield* Effect.sleep(100)
  }).pipe(Effect.repeat({ times: 1 }))

/** The attempts of the whole story: one for every connection that the pool has had, and for those that failed. */
const onePerClose: UnderLoad.Attempts = ({ attempts, status }) => ({
  made: attempts.length,
  allowed: status.created + status.connectFailures
})

const atOnce = UnderLoad.byRetrySchedule(config, 0)
const afterTimeouts = UnderLoad.byRetrySchedule(config, config.connectTimeout)

interface Expectation extends Pick<UnderLoad.Expectation, "met" | "attempts"> {
  readonly fault: Fault
}

const faults: Readonly<Record<string, Expectation>> = {
  "all connections are killed, again and again": {
    fault: killRepeatedly,
    met: ["RedisError"],
    attempts: UnderLoad.onePerSession(config)
  },
  "the server is killed and restarted": {
    fault: () => Effect.flatMap(Server, (server) => UnderLoad.killAndRestart(server, 700)),
    met: ["RedisError", "ServiceUnavailable"],
    attempts: atOnce
  },
  "every connection is reset and new ones are refused for a while": {
    fault: ({ proxy }) => UnderLoad.resetAndRefuse(proxy, 700),
    met: ["RedisError", "ServiceUnavailable"],
    attempts: atOnce
  },
  "the server freezes and thaws": {
    fault: () => Effect.flatMap(Server, (server) => UnderLoad.freezeAndThaw(server, longSilence)),
    met: ["TimeoutError", "ServiceUnavailable"],
    attempts: afterTimeouts
  },
  "the server is busy with one slow command": {
    fault: sleepOften,
    met: ["TimeoutError"],
    attempts: onePerClose
  },
  "the network is cut and healed": {
    fault: ({ proxy }) => UnderLoad.cutAndHeal(proxy, 900),
    met: ["TimeoutError"],
    attempts: afterTimeouts
  },
  "the network is cut, and only new connections work afterwards": {
    fault: ({ proxy }) => UnderLoad.cutForGood(proxy, longSilence),
    met: ["TimeoutError", "ServiceUnavailable"],
    attempts: afterTimeouts
  }
}

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
        UnderLoad.promises(it, name, Played, play(name, fault), config, {
          attempts,
          met,
          permitted: ["RedisError", "TimeoutError", "AcquireTimeout", "ServiceUnavailable"],
          committed: 100,
          longest: () => config.acquireTimeout + workTimeout
        })
      }
    }
  )
}
