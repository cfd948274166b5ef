import { layer } from "@effect/vitest"
import { Context, Effect, type Scope } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { type Connection, live, makePool, observer, rowsOf, Server, serverWith, valueOf } from "./Server.ts"
import * as UnderLoad from "./UnderLoad.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

const config = {
  minConnections: 2,
  maxConnections: 8,
  maxConnecting: 4,
  acquireTimeout: 1000,
  connectTimeout: 300,
  checkTimeout: 400,
  resetTimeout: 400,
  // Longer than the driver takes to give up a statement: what is being closed keeps its place until it is closed.
  closeTimeout: 6000,
  unavailableAfter: 400,
  retry: { initial: 100, factor: 2, max: 400, jitter: 0 }
} satisfies Input

/** How long a client waits for its statements. */
const workTimeout = 400
/** How long the driver waits for the answer to a statement that was interrupted, before it gives up the connection. */
const driverPatience = 5000

class Played extends Context.Service<Played, UnderLoad.Story>()("test/Played") {}

interface Scene {
  readonly applicationName: string
  readonly proxy: TcpProxy.TcpProxy
  readonly outside: Connection
  /** The process ids of sessions that the fault has ended one by one. */
  readonly terminated: Set<number>
}

/** What is done to a server while clients ask. It is over when the effect is. */
type Fault = (scene: Scene) => Effect.Effect<unknown, unknown, Server | Scope.Scope>

/** A client that bounds all of it at once, the wait for a connection included: the pool sees it interrupted. */
const query = (pool: Pool) => (nonce: number) =>
  Effect.timeout(
    ConnectionPool.use(pool, (connection) => valueOf(connection, "select $1::int from pg_sleep(0.002)", [nonce])),
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
      const sql = "insert into halves select $1::int from pg_sleep(0.003) returning nonce"
      const insert = valueOf(connection, sql, [nonce])
      const work = Effect.gen(function* () {
        yield* connection.query("begin")
        const first = yield* insert
        const second = yield* insert
        yield* connection.query("commit")
        return first === second ? first : undefined
      })
      return yield* Effect.timeout(work, workTimeout)
    })
  )

/** How many sessions the server has for the pool, without those that the pool has ended behind a cut. */
const countSessions = Effect.fnUntraced(function* (outside: Connection, { applicationName, proxy }: Scene) {
  const sql = "select client_port as port from pg_stat_activity where application_name = $1"
  const rows = yield* rowsOf(outside, sql, [applicationName])
  const ports = yield* proxy.portsOnServer
  return rows.filter(({ port }) => ports.has(port as number)).length
})

const watchSessions = (scene: Scene) => (note: (sessions: number) => void) => {
  const watch = Effect.scoped(
    Effect.flatMap(observer, (outside) =>
      Effect.forever(Effect.andThen(Effect.map(countSessions(outside, scene), note), Effect.sleep(5)))
    )
  )
  return Effect.forever(Effect.catch(watch, () => Effect.sleep(20)))
}

/** A `CancelRequest`, which the driver sends on a connection of its own. */
const isCancel = ({ opening }: TcpProxy.Attempt): boolean =>
  opening !== undefined && opening.length >= 8 && opening.readUInt32BE(4) === 80_877_102

const play = Effect.fnUntraced(function* (name: string, fault: Fault) {
  // The server remembers no more of it.
  const applicationName = name.slice(0, 63)
  const { port } = yield* Server
  const outside = yield* observer
  yield* outside.query("drop table if exists halves")
  yield* outside.query("create table halves (nonce int)")
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
    ended: () => scene.terminated.size,
    halves: Effect.map(
      afterwards((outside) => rowsOf(outside, "select nonce, count(*)::int as count from halves group by nonce")),
      (rows) => new Map(rows.map(({ count, nonce }) => [nonce as number, count as number]))
    )
  })
})

/** Ends every session of the pool 20 times, at intervals that leave it time to open others. */
const terminateRepeatedly: Fault = ({ applicationName, outside, terminated }) =>
  Effect.gen(function* () {
    const sql = "select pid, pg_terminate_backend(pid) from pg_stat_activity where application_name = $1"
    for (const { pid } of yield* rowsOf(outside, sql, [applicationName])) terminated.add(pid as number)
    yield* Effect.sleep(100)
  }).pipe(Effect.repeat({ times: 19 }))

/** So long that the driver gives up what was running, and the pool then has the time to call itself unavailable. */
const longSilence = workTimeout + driverPatience + config.connectTimeout + config.unavailableAfter + 800

interface Expectation extends Pick<UnderLoad.Expectation, "met" | "attempts"> {
  readonly fault: Fault
  /** Nobody is told that the server is gone: a statement that was running is the driver's to give up. */
  readonly isSilent: boolean
}

const atOnce = UnderLoad.byRetrySchedule(config, 0)
const afterTimeouts = UnderLoad.byRetrySchedule(config, config.connectTimeout)

const faults: Readonly<Record<string, Expectation>> = {
  "all sessions are terminated, again and again": {
    fault: terminateRepeatedly,
    met: ["SqlError"],
    isSilent: false,
    attempts: UnderLoad.onePerSession(config)
  },
  "the server is killed and restarted": {
    fault: () => Effect.flatMap(Server, (server) => UnderLoad.killAndRestart(server, 1500)),
    met: ["SqlError", "ServiceUnavailable"],
    isSilent: false,
    attempts: atOnce
  },
  "every connection is reset and new ones are refused for a while": {
    fault: ({ proxy }) => UnderLoad.resetAndRefuse(proxy, 1500),
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
  // Longer than any timeout but the driver's.
  "the network is cut and healed": {
    fault: ({ proxy }) => UnderLoad.cutAndHeal(proxy, 2000),
    met: ["TimeoutError", "AcquireTimeout"],
    isSilent: true,
    attempts: afterTimeouts
  },
  "the network is cut, and only new connections work afterwards": {
    fault: ({ proxy }) => UnderLoad.cutForGood(proxy, longSilence),
    met: ["TimeoutError", "AcquireTimeout", "ServiceUnavailable"],
    isSilent: true,
    attempts: afterTimeouts
  }
}

// What the server has said to be committed must outlive its SIGKILL.
layer(serverWith({ synchronous_commit: "on" }), live)("Postgres.connector: under load", (it) => {
  for (const [name, { attempts, fault, isSilent, met }] of Object.entries(faults)) {
    UnderLoad.promises(it, name, Played, play(name, fault), config, {
      attempts,
      met,
      permitted: ["SqlError", "TimeoutError", "AcquireTimeout", "ServiceUnavailable"],
      committed: 100,
      // The client's timeout ends when the driver has let go of the statement.
      longest: ({ beganAt, endedAt }) =>
        config.acquireTimeout + workTimeout + (isSilent ? Math.min(driverPatience, endedAt - beganAt) : 0)
    })
  }
})
