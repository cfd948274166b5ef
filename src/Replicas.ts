/**
 * Several servers behind one pool, such as the replicas of a database behind the pool for reading.
 *
 * @since 0.1.0
 */
import { Clock } from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Connector from "./Connector.ts"
import type { FailureKind } from "./PoolError.ts"
import * as RetryPolicy from "./RetryPolicy.ts"

/**
 * How a connector of several servers is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the pool unless its configuration does. Default: the names of the replicas. */
  readonly name?: string | undefined
  /** How long a replica that could not be reached is left alone. Default: 1 s, doubled with each failure up to 60 s. */
  readonly retry?: Partial<RetryPolicy.Exponential> | undefined
}

/**
 * What is known of one replica.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplicaStatus {
  /** Its connector's name. */
  readonly name: string
  /** Connections that are open, or being opened. */
  readonly connections: number
  /** Failed attempts to connect since the last that succeeded. */
  readonly failures: number
  /** In how many milliseconds it will be tried again, unless all are down; absent while it is not left alone. */
  readonly retryInMillis?: number
}

/**
 * A connector of several servers.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplicasConnector<A, E = never, R = never> extends Connector.Connector<A, E, R> {
  /** What is known of each, in the order in which they were given. */
  readonly replicas: Effect.Effect<ReadonlyArray<ReplicaStatus>>
}

type Step = (
  now: number,
  input: FailureKind
) => Pull.Pull<[Duration.Duration, Duration.Duration], never, Duration.Duration>

class Replica<A, E, R> {
  readonly connector: Connector.Connector<A, E, R>
  connections = 0
  failures = 0
  /** Left alone until then. */
  downUntil = -Infinity
  step: Step | undefined = undefined

  constructor(connector: Connector.Connector<A, E, R>) {
    this.connector = connector
  }

  recovered(): void {
    this.failures = 0
    this.downUntil = -Infinity
    this.step = undefined
  }
}

/**
 * A connector that opens each connection on the replica which has fewest. One that cannot be reached is left alone for a while and the next
 * one tried at once; when none is left, the one that has been left alone longest is tried, and its error is the pool's. A replica
 * whose connect hangs costs one `connectTimeout`, and is left alone then, too.
 *
 * Connections stay where they are: a replica that comes back gets its part as others are retired (`maxLifetime`, `maxUses`) or the pool
 * grows. Connections must be objects.
 *
 * **Example** (Reading from two replicas)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector, Replicas } from "effect-pool"
 *
 * const replica = (name: string) => Connector.make({ name, connect: Effect.sync(() => ({ name })) })
 * const down = Connector.make({ name: "c", connect: Effect.fail("connection refused") })
 * const replicas = Replicas.connector([replica("a"), replica("b"), down])
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(replicas, { maxConnections: 2 })
 *   const both = yield* Effect.all([ConnectionPool.acquire(pool), ConnectionPool.reserve(pool)])
 *   return both.map(({ name }) => name).toSorted() // => ["a", "b"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = <A extends object, E, R>(
  connectors: readonly [Connector.Connector<A, E, R>, ...ReadonlyArray<Connector.Connector<A, E, R>>],
  options: Options = {}
): ReplicasConnector<A, E, Exclude<R, Scope.Scope>> => {
  const replicas = connectors.map((one) => new Replica(one))
  const [first] = connectors
  /** Where a connection, and where an error came from. */
  const origins = new WeakMap<object, Replica<A, E, R>>()
  const originOf = (subject: unknown): Connector.Connector<A, E, R> =>
    (typeof subject === "object" && subject !== null ? origins.get(subject)?.connector : undefined) ?? first
  const has = (part: "check" | "reset" | "inspect" | "closed" | "classify" | "fatal" | "statistics"): boolean =>
    connectors.some((one) => one[part] !== undefined)

  const open = (replica: Replica<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
    Effect.andThen(
      // Counted until it has closed, and from before it opens: several that are opened at once are spread, too.
      Effect.acquireRelease(
        Effect.sync(() => replica.connections++),
        () => Effect.sync(() => replica.connections--)
      ),
      Effect.onExit(replica.connector.connect, (exit) => {
        if (Exit.isFailure(exit)) return Effect.void
        replica.recovered()
        origins.set(exit.value, replica)
        return Effect.void
      })
    )

  /** Takes it out of the way for a while, whether it refused or the pool lost patience with it. */
  const leaveAlone = Effect.fnUntraced(function* (replica: Replica<A, E, R>, kind: FailureKind) {
    const now = yield* monotonicMillis
    replica.failures++
    replica.step ??= yield* Schedule.toStep(RetryPolicy.forConnects(options.retry))
    const delay = yield* replica.step(now, kind).pipe(
      Effect.map(([, delay]) => Duration.toMillis(delay)),
      // It has no end. If it had one, its longest delay would go on.
      Effect.catchCause(() =>
        Effect.succeed(Duration.toMillis(Duration.fromInputUnsafe(options.retry?.max ?? RetryPolicy.defaults.max)))
      )
    )
    replica.downUntil = now + delay
  })

  /** In a scope of its own: what a failed attempt has taken is given back before the next replica is tried. */
  const attempt = (replica: Replica<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.flatMap(Effect.scope, Scope.fork), (scope) =>
        Effect.onExit(restore(Effect.provideService(open(replica), Scope.Scope, scope)), (exit) =>
          Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void
        )
      )
    ).pipe(
      Effect.tapError((error) => {
        if (typeof error === "object" && error !== null) origins.set(error, replica)
        return leaveAlone(replica, replica.connector.classify?.(error) ?? "transient")
      }),
      Effect.onInterrupt(() => leaveAlone(replica, "transient"))
    )

  const connect = Effect.gen(function* () {
    const now = yield* monotonicMillis
    const up = replicas.filter(({ downUntil }) => downUntil <= now)
    const byLoad = up.toSorted((one, other) => one.connections - other.connections)
    const byPatience = replicas.toSorted((one, other) => one.downUntil - other.downUntil).slice(0, 1)
    const candidates = byLoad.length > 0 ? byLoad : byPatience
    const [best, ...others] = candidates.map(attempt)
    return yield* others.reduce((tried, next) => Effect.catch(tried, () => next), best!)
  })

  const made = Connector.make<A, E, R>({
    name: options.name ?? connectors.map(({ name }) => name).join(", "),
    connect,
    problems: connectors.flatMap(({ problems = [] }, index) =>
      problems.map((problem) => ({ ...problem, field: `replicas[${index}].${problem.field}` }))
    ),
    ...(has("check") && { check: (connection: A) => originOf(connection).check?.(connection) ?? Effect.void }),
    ...(has("reset") && { reset: (connection: A) => originOf(connection).reset?.(connection) ?? Effect.void }),
    ...(has("closed") && { closed: (connection: A) => originOf(connection).closed?.(connection) ?? Effect.never }),
    ...((has("inspect") || has("reset")) && {
      inspect: (connection: A) => {
        const { inspect, reset } = originOf(connection)
        return inspect?.(connection) ?? (reset === undefined ? "clean" : "dirty")
      }
    }),
    ...(has("classify") && { classify: (error: E) => originOf(error).classify?.(error) ?? "transient" }),
    // An error of a statement does not say where it came from.
    ...(has("fatal") && { fatal: (error: unknown) => connectors.some((one) => one.fatal?.(error) === true) }),
    ...(has("statistics") && {
      statistics: (connection: A) => originOf(connection).statistics?.(connection) ?? {}
    })
  })
  return { ...made, replicas: Effect.map(monotonicMillis, (now) => replicas.map((replica) => statusOf(replica, now))) }
}

const monotonicMillis = Effect.map(Clock, (clock) => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000)

const statusOf = <A, E, R>(
  { connections, connector: { name }, downUntil, failures }: Replica<A, E, R>,
  now: number
): ReplicaStatus => ({
  name,
  connections,
  failures,
  ...(downUntil > now ? { retryInMillis: Math.ceil(downUntil - now) } : {})
})
