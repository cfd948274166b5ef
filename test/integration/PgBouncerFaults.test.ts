/** PgBouncer and the server behind it under load: killed, paused, frozen and cut off, and what their clients see of it. */
import { assert } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { AcquireError } from "../../src/PoolError.ts"
import type { PoolStatus } from "../../src/PoolStatus.ts"
import { eventually } from "../support/Eventually.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { Bouncer, behindPgBouncer, makePool } from "./Bouncer.ts"
import { type Connection, observer, rowsOf, Server, valueOf } from "./Server.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

const retry = { initial: 100, factor: 2, max: 400, jitter: 0 } as const

const config = {
  minConnections: 2,
  maxConnections: 10,
  acquireTimeout: 600,
  connectTimeout: 300,
  checkTimeout: 400,
  resetTimeout: 400,
  // Longer than the driver takes to give up a statement: what is being closed keeps its place until it is closed.
  closeTimeout: 6000,
  unavailableAfter: 400,
  shedding: { enabled: false },
  retry
} satisfies Input

const clients = 40
/** How long a client waits for its statements. */
const workTimeout = 400
/** A statement that nobody answers is let go after this. */
const lettingGo = 1000
/** For a busy machine. */
const grace = 700
/** An attempt that has begun when the fault ends may still run out of time, and then the longest step has to pass. */
const recoversWithin = config.connectTimeout + retry.max + lettingGo + grace

/** `TimeoutError` is the client's own impatience, `wrong` an answer to somebody else's question. */
type Outcome = "success" | "wrong" | "SqlError" | "TimeoutError" | AcquireError["_tag"]

interface Call {
  readonly nonce: number
  readonly isTransaction: boolean
  readonly client: number
  readonly outcome: Outcome
  readonly askedAt: number
  readonly millis: number
}

interface Story {
  readonly calls: ReadonlyArray<Call>
  readonly endedAt: number
  readonly recoveredAt: number
  readonly status: PoolStatus
  /** How many rows each transaction has left. */
  readonly rows: ReadonlyMap<number, number>
  /** Clients that the proxy has for the pool in the end, and server sessions that are in a transaction. */
  readonly clientsOfProxy: number
  readonly openTransactions: number
}

const query = (connection: Connection, nonce: number) =>
  valueOf(connection, "select $1::int from pg_sleep(0.002)", [nonce])

/** Two rows or none. Slow, so that a fault is likely to come in the middle. */
const transaction = (connection: Connection, nonce: number) =>
  Effect.gen(function* () {
    const insert = valueOf(connection, "insert into halves select $1::int from pg_sleep(0.003) returning nonce", [
      nonce
    ])
    yield* connection.query("begin")
    const first = yield* insert
    const second = yield* insert
    yield* connection.query("commit")
    return first === second ? first : undefined
  })

/** Clients that never stop asking, one question at a time each, until the load ends. */
const startLoad = Effect.fnUntraced(function* (pool: Pool) {
  const calls: Array<Call> = []
  let isOver = false
  let lastNonce = 0
  const ask = Effect.fnUntraced(function* (client: number) {
    const nonce = ++lastNonce
    const isTransaction = nonce % 2 === 1
    const askedAt = performance.now()
    const work = isTransaction ? transaction : query
    const outcome: Outcome = yield* ConnectionPool.use(pool, (c) => Effect.timeout(work(c, nonce), workTimeout)).pipe(
      Effect.map((answer) => (answer === nonce ? "success" : "wrong")),
      Effect.catch((error) => Effect.succeed(error._tag))
    )
    calls.push({ nonce, isTransaction, client, outcome, askedAt, millis: performance.now() - askedAt })
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

type Fault = (scene: {
  readonly proxy: TcpProxy.TcpProxy
}) => Effect.Effect<unknown, unknown, Bouncer | Server | Scope.Scope>

/** The clients that the proxy has, without those that the pool has ended behind a cut. */
const countClients = Effect.fnUntraced(function* (bouncer: Bouncer["Service"], proxy: TcpProxy.TcpProxy) {
  const clients = yield* bouncer.clientsOf("app")
  const ports = yield* proxy.portsOnServer
  return clients.filter(({ port }) => ports.has(Number(port))).length
})

/** Plays a fault under load, and goes on until everything is well again or has had the time to be. */
const play = Effect.fnUntraced(function* (fault: Fault) {
  const bouncer = yield* Bouncer
  const before = yield* observer
  yield* before.query("drop table if exists halves")
  yield* before.query("create table halves (nonce int)")
  const proxy = yield* TcpProxy.make(bouncer.port)
  const pool = yield* makePool("faults", config, { port: proxy.port })
  const load = yield* startLoad(pool)
  yield* eventually(ConnectionPool.status(pool), ({ inUse, released }) => released > 100 && inUse === 10, "10 seconds")
  yield* fault({ proxy })
  const endedAt = performance.now()
  const served = Effect.sync(
    () =>
      new Set(
        load.calls
          .filter(({ askedAt, outcome }) => askedAt >= endedAt && outcome === "success")
          .map(({ client }) => client)
      ).size
  )
  yield* Effect.ignore(eventually(served, (count) => count === clients, "10 seconds"))
  const recoveredAt = performance.now()
  // Some more of the load, for whatever comes late.
  yield* Effect.sleep(200)
  yield* load.end
  yield* Effect.ignore(
    eventually(ConnectionPool.status(pool), ({ idle, total }) => idle === total && total >= config.minConnections)
  )
  // The first one may have died with the server.
  const after = yield* observer
  const ends = Effect.all({
    status: ConnectionPool.status(pool),
    clientsOfProxy: countClients(bouncer, proxy),
    openTransactions: Effect.map(
      valueOf(after, "select count(*)::int from pg_stat_activity where state like 'idle in transaction%'"),
      Number
    )
  })
  yield* Effect.ignore(
    eventually(ends, (seen) => seen.status.total === seen.clientsOfProxy && seen.openTransactions === 0)
  )
  const rows = yield* rowsOf(after, "select nonce, count(*)::int as count from halves group by nonce")
  const story: Story = {
    ...(yield* ends),
    calls: load.calls,
    endedAt,
    recoveredAt,
    rows: new Map(rows.map(({ count, nonce }) => [nonce as number, count as number]))
  }
  return story
})

const permitted = new Set<Outcome>(["success", "SqlError", "TimeoutError", "AcquireTimeout", "ServiceUnavailable"])

/** Each promise, and what of the story breaks it. */
const promises: Readonly<Record<string, (story: Story) => unknown>> = {
  "every caller gets its own answer or a typed error": ({ calls }) =>
    calls.filter(({ outcome }) => !permitted.has(outcome)),
  "nobody waits beyond the timeouts": ({ calls }) =>
    calls.filter(({ millis }) => millis > config.acquireTimeout + workTimeout + lettingGo + grace),
  "every client is served again soon": ({ endedAt, recoveredAt }) =>
    recoveredAt - endedAt > recoversWithin ? [recoveredAt - endedAt] : [],
  "nobody fails any more once every client has been served": ({ calls, recoveredAt }) =>
    calls.filter(({ askedAt, outcome }) => askedAt >= recoveredAt && outcome !== "success"),
  "no half of a transaction is left behind": ({ rows }) => [...rows].filter(([, count]) => count !== 2),
  "no transaction is lost that a client saw committed": ({ calls, rows }) =>
    calls.filter(({ isTransaction, nonce, outcome }) => isTransaction && outcome === "success" && !rows.has(nonce)),
  "nothing leaks": ({ status }) => {
    const { acquired, closed, created, inUse, released, total, waiting } = status
    return inUse === 0 && waiting === 0 && released === acquired && total === created - closed ? [] : [status]
  },
  "the proxy has as many clients as the pool has connections": ({ clientsOfProxy, status }) =>
    clientsOfProxy === status.total ? [] : [clientsOfProxy, status.total],
  "no transaction stays open on the server": ({ openTransactions }) =>
    openTransactions === 0 ? [] : [openTransactions]
}

const brokenBy = (story: Story) =>
  Object.entries(promises)
    .map(([promise, breaches]) => [promise, breaches(story)] as const)
    .filter(([, breaches]) => (breaches as ReadonlyArray<unknown>).length > 0)

/** Whatever the test finds, there must be a proxy and a server for the next one. */
const downFor = <E, E2, R>(millis: number, end: Effect.Effect<void, E, R>, start: Effect.Effect<void, E2, R>) => {
  let isDown = true
  const restart = Effect.suspend(() => {
    if (!isDown) return Effect.void
    isDown = false
    return start
  })
  return Effect.acquireRelease(end, () => Effect.orDie(restart)).pipe(
    Effect.andThen(Effect.sleep(millis)),
    Effect.andThen(restart)
  )
}

/** Ends every session of the proxy's ten times, at intervals that leave it time to open others. */
const terminateRepeatedly: Fault = () =>
  Effect.gen(function* () {
    const outside = yield* observer
    const sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'faults'"
    yield* Effect.repeat(Effect.delay(outside.query(sql), 80), { times: 7 })
  })

const ofBouncer = (fault: (bouncer: Bouncer["Service"]) => Effect.Effect<unknown, unknown, Scope.Scope>) => () =>
  Effect.flatMap(Bouncer, fault)

/** Not more often: a server connection that is being opened then counts as one that failed, and the proxy refuses everybody. */
const reconnect: Fault = ofBouncer(({ admin }) => Effect.andThen(admin("RECONNECT"), admin("WAIT_CLOSE")))

interface Expectation {
  readonly fault: Fault
  /** What some of the callers must have met, or the fault was none. */
  readonly met: ReadonlyArray<Outcome>
}

const faults: Readonly<Record<string, Expectation>> = {
  "the proxy is killed and restarted": {
    fault: ofBouncer(({ kill, start }) => downFor(700, kill, start)),
    met: ["SqlError", "ServiceUnavailable"]
  },
  "the server behind it is killed and restarted": {
    fault: () => Effect.flatMap(Server, ({ kill, start }) => downFor(500, kill, start)),
    met: ["SqlError"]
  },
  "its server sessions are terminated, again and again": {
    fault: terminateRepeatedly,
    met: ["SqlError"]
  },
  "an operator kills all its connections": {
    fault: ofBouncer(({ admin }) => Effect.andThen(admin("KILL app"), Effect.delay(admin("RESUME app"), 300))),
    met: ["SqlError"]
  },
  "an operator pauses it for longer than anybody waits": {
    fault: ofBouncer(({ admin }) => Effect.andThen(admin("PAUSE app"), Effect.delay(admin("RESUME app"), 1200))),
    met: ["TimeoutError", "AcquireTimeout"]
  },
  "the proxy freezes and thaws": {
    fault: ofBouncer(({ freeze, thaw }) => downFor(1200, freeze, thaw)),
    met: ["TimeoutError", "AcquireTimeout"]
  },
  "the network is cut, and only new connections work afterwards": {
    fault: ({ proxy }) => Effect.andThen(proxy.cut("mute"), Effect.andThen(Effect.sleep(1200), proxy.healForNewcomers)),
    met: ["TimeoutError", "AcquireTimeout"]
  }
}

behindPgBouncer(
  "Postgres.pgBouncer: under load",
  (it) => {
    for (const [name, { fault, met }] of Object.entries(faults)) {
      it(`keeps every promise while ${name}`, () =>
        Effect.gen(function* () {
          const story = yield* play(fault)
          assert.includeMembers([...new Set(story.calls.map(({ outcome }) => outcome))], [...met])
          assert.deepStrictEqual(brokenBy(story), [])
        }))
    }

    it("loses no statement while the proxy changes its server connections", () =>
      Effect.gen(function* () {
        const { calls } = yield* play(reconnect)
        assert.include(yield* (yield* Bouncer).log, "closing because: close_needed")
        assert.deepStrictEqual(
          calls.filter(({ outcome }) => outcome === "SqlError"),
          []
        )
      }))
  },
  // A client that is cut off inside a transaction would hold one of the server connections for ever.
  { idle_transaction_timeout: 0.5 },
  // What the server has said to be committed must outlive its SIGKILL.
  { synchronous_commit: "on" }
)
