import { describe, layer } from "@effect/vitest"
import { Context, Effect, type Scope } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
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
import * as UnderLoad from "./UnderLoad.ts"

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
  retry: { initial: 100, factor: 2, max: 400, jitter: 0 }
} satisfies Input

/** How long a client waits for its statements. */
const workTimeout = 600
/** How long a statement that was interrupted is given to end, before its connection is given up. */
const cancelPatience = 900

class Played extends Context.Service<Played, UnderLoad.Story>()("test/Played") {}

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
const query = (pool: Pool) => (nonce: number) =>
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
const transaction = (pool: Pool) => (nonce: number) =>
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

/** How many sessions the server has for the pool, without those that the pool has ended behind a cut. */
const countSessions = Effect.fnUntraced(function* (outside: Connection, { applicationName, proxy }: Scene) {
  const sessions = yield* sessionsOf(outside, applicationName)
  const ports = yield* proxy.portsOnServer
  return sessions.filter(({ port }) => ports.has(port)).length
})

const watchSessions = (scene: Scene) => (note: (sessions: number) => void) => {
  const watch = Effect.scoped(
    Effect.flatMap(observer, (outside) =>
      Effect.forever(Effect.andThen(Effect.map(countSessions(outside, scene), note), Effect.sleep(5)))
    )
  )
  return Effect.forever(Effect.catch(watch, () => Effect.sleep(20)))
}

/** One that comes to cancel a statement says so when it is greeted: no attempt of the pool's. */
const isCancel = ({ opening }: TcpProxy.Attempt): boolean => opening?.includes("(cancel)") === true

const play = Effect.fnUntraced(function* (name: string, fault: Fault) {
  const applicationName = name
  const { port } = yield* Server
  const outside = yield* observer
  yield* outside.query("drop table if exists halves")
  yield* outside.query("create table halves (nonce int) engine = innodb")
  const proxy = yield* TcpProxy.make(port)
  const pool = yield* makePool(applicationName, config, { port: proxy.port })
  const scene: Scene = { applicationName, proxy, outside, terminated: new Set() }
  // The first one may have died with the server.
  const afterwards = <A, E>(look: (outside: Connection) => Effect.Effect<A, E>) =>
    Effect.scoped(Effect.flatMap(observer, look))
  return yield* UnderLoad.play({
    pool,
    proxy,
    settings: config,
    query: query(pool),
    transaction: transaction(pool),
    fault: fault(scene),
    sessions: afterwards((outside) => countSessions(outside, scene)),
    watch: watchSessions(scene),
    isCancel,
    warm: 200,
    ended: () => scene.terminated.size,
    halves: Effect.map(
      afterwards((outside) => rowsOf(outside, "select nonce, count(*) as count from halves group by nonce")),
      (rows) => new Map(rows.map(({ count, nonce }) => [Number(nonce), Number(count)]))
    )
  })
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

/** So long that the driver gives up what was running, and the pool then has the time to call itself unavailable. */
const longSilence = workTimeout + cancelPatience + config.connectTimeout + config.unavailableAfter + 500

/** Everything arrives, and takes up to 40 ms to. */
const slowNetwork: Fault = ({ proxy }) =>
  Effect.gen(function* () {
    yield* proxy.cut("mute")
    yield* Effect.sleep(40)
    yield* proxy.heal
    yield* Effect.sleep(1)
  }).pipe(Effect.repeat({ times: 24 }))

interface Expectation extends Pick<UnderLoad.Expectation, "met" | "attempts"> {
  readonly fault: Fault
  /** Nobody is told that the server is gone: a statement that was running is the driver's to give up. */
  readonly isSilent: boolean
}

const atOnce = UnderLoad.byRetrySchedule(config, 0)
/** Behind silence nobody sees which of them came to cancel a statement: one for each connection that was in use. */
const afterTimeouts = UnderLoad.byRetrySchedule(config, config.connectTimeout, config.maxConnections)
/** A few more, for what a busy machine has no time to check. */
const onePerSession = UnderLoad.onePerSession(config, 4)

const faults: Readonly<Record<string, Expectation>> = {
  "all sessions are terminated, again and again": {
    fault: terminateRepeatedly,
    met: ["SqlError"],
    isSilent: false,
    attempts: onePerSession
  },
  "the server is killed and restarted": {
    fault: () => Effect.flatMap(Server, (server) => UnderLoad.killAndRestart(server, 1000)),
    met: ["SqlError", "ServiceUnavailable"],
    isSilent: false,
    attempts: atOnce
  },
  "every connection is reset and new ones are refused for a while": {
    fault: ({ proxy }) => UnderLoad.resetAndRefuse(proxy, 1000),
    met: ["SqlError", "ServiceUnavailable"],
    isSilent: false,
    attempts: atOnce
  },
  "the server freezes and thaws": {
    fault: () => Effect.flatMap(Server, (server) => UnderLoad.freezeAndThaw(server, longSilence)),
    met: ["TimeoutError", "AcquireTimeout", "ServiceUnavailable"],
    isSilent: true,
    attempts: afterTimeouts
  },
  "the network is cut and healed": {
    fault: ({ proxy }) => UnderLoad.cutAndHeal(proxy, 1500),
    met: ["TimeoutError", "AcquireTimeout"],
    isSilent: true,
    attempts: afterTimeouts
  },
  "the network is slow": {
    fault: slowNetwork,
    met: ["success"],
    isSilent: true,
    attempts: onePerSession
  },
  "the network is cut, and only new connections work afterwards": {
    fault: ({ proxy }) => UnderLoad.cutForGood(proxy, 1700),
    met: ["TimeoutError", "AcquireTimeout"],
    isSilent: true,
    attempts: afterTimeouts
  }
}

describe.skipIf(unavailable !== undefined)(titled("MySql.connector: under load"), () => {
  layer(serverWith(), live)("on a real server", (it) => {
    for (const [name, { attempts, fault, isSilent, met }] of Object.entries(faults)) {
      UnderLoad.promises(it, name, Played, play(name, fault), config, {
        attempts,
        met,
        // Whoever would wait too long behind those who come back all at once may be refused early.
        permitted: ["SqlError", "TimeoutError", "AcquireTimeout", "ServiceUnavailable", "PoolOverloaded"],
        committed: 50,
        // The client's timeout ends when the driver has let go of the statement.
        longest: ({ beganAt, endedAt }) =>
          config.acquireTimeout + workTimeout + (isSilent ? Math.min(cancelPatience, endedAt - beganAt) : 0)
      })
    }
  })
})
