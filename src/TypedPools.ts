/**
 * Several pools of different connections that live on one budget, such as those for reading, for writing and for
 * administration: three services from one call, each with its own type of connection and its own limits.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ConnectionPool from "./ConnectionPool.ts"
import type { Connector } from "./Connector.ts"
import * as PoolConfig from "./PoolConfig.ts"
import { type ConfigProblem, type ConnectError, PoolConfigError } from "./PoolError.ts"
import * as PoolLayer from "./PoolLayer.ts"
import type { PoolStatus } from "./PoolStatus.ts"
import { Membership, SharedBudget } from "./runtime/SharedBudget.ts"

/**
 * The type of connection that one of the pools lends. Made by {@link of}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kind<out A> {
  readonly "~effect-pool/Kind": (_: never) => A
}

/**
 * The type of connection that one of the pools lends, for {@link make}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = <A>(): Kind<A> => ({ "~effect-pool/Kind": (_) => _ })

/** Any kinds by the names of their pools. `layer` and `status` are taken. */
type Kinds = { readonly [name: string]: Kind<unknown> } & { readonly layer?: never; readonly status?: never }

type ConnectionOf<K> = K extends Kind<infer A> ? A : never

/**
 * What stands in the requirements of an effect that needs one of the pools.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pool<in out Id extends string, in out Name extends PropertyKey> {
  /** The name that all of the pools were declared with. */
  readonly id: Id
  /** This one's name among them. */
  readonly pool: Name
}

/**
 * How one of the pools is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, E = never, R = never> {
  /** How the pool opens, checks and resets its connections. */
  readonly connector: Connector<A, E, R>
  /** As for any pool, except that `maxConnections` is the whole budget and `name` says which of the pools it is, unless given. */
  readonly config?: PoolConfig.Input | PoolConfig.PoolConfig | undefined
  /**
   * How many connections the pool may have for certain, whatever the others do. Default: its `minConnections`, and at least
   * 1. What a pool does not use of it stays free for it.
   */
  readonly floor?: number | undefined
}

type OptionsOf<K extends Kinds> = { readonly [Name in keyof K]: Options<ConnectionOf<K[Name]>, unknown, unknown> }

/** Each of the pools by itself: an effect needs one of them, and the layer provides all. */
type PoolsOf<Id extends string, K extends Kinds> = { [Name in keyof K & string]: Pool<Id, Name> }[keyof K & string]

type RequirementsOf<O> = {
  [Name in keyof O]: O[Name] extends { readonly connector: Connector<infer _A, infer _E, infer R> } ? R : never
}[keyof O]

/**
 * The services, by their names, and the layer that provides all of them.
 *
 * @category models
 * @since 0.1.0
 */
export type TypedPools<Id extends string, K extends Kinds> = {
  readonly [Name in keyof K & string]: PoolLayer.ServiceClass<Pool<Id, Name>, `${Id}/${Name}`, ConnectionOf<K[Name]>>
} & {
  /**
   * Makes all pools. Together they never have more than `budget` connections. Each has its floor for certain; what is left is lent to
   * who needs it, so that nobody could have more without taking from somebody who has no more than he (max-min fair), and comes
   * back when somebody else needs it: idle connections at once, others when their borrowers return them.
   *
   * Fails with one `PoolConfigError` that names every wrong field of every pool, before anything is opened.
   */
  readonly layer: <O extends OptionsOf<K>>(
    options: { readonly budget: number } & O
  ) => Layer.Layer<
    PoolsOf<Id, K>,
    PoolConfigError | ConnectError,
    Exclude<RequirementsOf<Omit<O, "budget">>, Scope.Scope>
  >
  /** The status of each pool; `limit` is what it may have of the budget now. */
  readonly status: Effect.Effect<{ readonly [Name in keyof K]: PoolStatus }, never, PoolsOf<Id, K>>
}

/**
 * Declares pools of different connections as one service each.
 *
 * **Example** (Whoever reads cannot write)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connector, TypedPools } from "effect-pool"
 *
 * interface Reader {
 *   readonly select: (sql: string) => Effect.Effect<string>
 * }
 * interface Writer extends Reader {
 *   readonly execute: (sql: string) => Effect.Effect<void>
 * }
 *
 * const Db = TypedPools.make("app/Db", { read: TypedPools.of<Reader>(), write: TypedPools.of<Writer>() })
 *
 * const reader: Reader = { select: (sql) => Effect.succeed(`rows of ${sql}`) }
 * const DbLive = Db.layer({
 *   budget: 20,
 *   read: { connector: Connector.make({ name: "replica", connect: Effect.succeed(reader) }), floor: 5 },
 *   write: { connector: Connector.make({ name: "primary", connect: Effect.succeed({ ...reader, execute: () => Effect.void }) }) }
 * })
 *
 * // `Db.read.use((connection) => connection.execute("delete from orders"))` does not compile.
 * const program = Db.read.use((connection) => connection.select("orders")).pipe(
 *   Effect.provide(DbLive) // => "rows of orders"
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Id extends string, const K extends Kinds>(id: Id, kinds: K): TypedPools<Id, K> => {
  type Service = PoolLayer.ServiceClass<unknown, string, unknown>
  const services: Record<string, Service> = {}
  for (const name of Object.keys(kinds)) {
    services[name] = PoolLayer.Service<unknown, unknown>()<string>(`${id}/${name}`)
  }
  const layer = ({ budget, ...pools }: { readonly budget: number } & Record<string, unknown>) =>
    Layer.effectContext(makeAll(services, budget, pools as Record<string, Options<unknown, unknown, unknown>>))
  const status = Effect.all(Object.fromEntries(Object.entries(services).map(([name, { status }]) => [name, status])))
  return { ...services, layer, status } as unknown as TypedPools<Id, K>
}

interface Planned {
  readonly name: string
  readonly options: Options<unknown, unknown, unknown>
  readonly config: PoolConfig.PoolConfig
  readonly floor: number
}

const makeAll = Effect.fnUntraced(function* (
  services: Readonly<Record<string, Context.Key<unknown, ConnectionPool.ConnectionPool<unknown>>>>,
  total: number,
  pools: Readonly<Record<string, Options<unknown, unknown, unknown>>>
) {
  const planned = yield* plan(total, pools)
  const budget = new SharedBudget(total)
  const made = yield* Effect.forEach(
    planned,
    ({ config, floor, name, options }) =>
      Effect.map(
        Effect.provideService(ConnectionPool.make(options.connector, config), Membership, { budget, floor }),
        (pool) => Context.make(services[name]!, pool)
      ),
    // Side by side: a primary that cannot be reached must not keep the replicas from opening.
    { concurrency: "unbounded" }
  )
  return Context.mergeAll(...made)
})

/** All configurations, checked; or everything that is wrong with any of them. */
const plan = Effect.fnUntraced(function* (
  total: number,
  pools: Readonly<Record<string, Options<unknown, unknown, unknown>>>
) {
  const problems: Array<ConfigProblem> = []
  const planned: Array<Planned> = []
  for (const [name, options] of Object.entries(pools)) {
    const { config, connector } = options
    const input =
      config instanceof PoolConfig.PoolConfig
        ? config
        : { name: `${connector.name}/${name}`, maxConnections: total, ...config }
    const checked = yield* Effect.result(PoolConfig.make(input, connector.problems))
    if (checked._tag === "Failure") {
      problems.push(...checked.failure.problems.map((problem) => ({ ...problem, field: `${name}.${problem.field}` })))
      continue
    }
    const floor = options.floor ?? Math.max(1, checked.success.minConnections)
    problems.push(...floorProblems(name, floor, checked.success))
    planned.push({ name, options, config: checked.success, floor })
  }
  const floors = planned.reduce((sum, { floor }) => sum + floor, 0)
  if (!Number.isInteger(total) || total < 1) {
    problems.unshift({ field: "budget", value: String(total), expected: "a whole number of connections, at least 1" })
  } else if (floors > total) {
    const each = planned.map(({ floor, name }) => `${name} ${floor}`).join(", ")
    problems.unshift({
      field: "budget",
      value: String(total),
      expected: `at least ${floors}, the sum of the floors (${each})`
    })
  }
  if (problems.length > 0) return yield* new PoolConfigError({ problems })
  return planned
})

const floorProblems = (
  name: string,
  floor: number,
  { maxConnections, minConnections }: PoolConfig.PoolConfig
): ReadonlyArray<ConfigProblem> => {
  const isRight = Number.isInteger(floor) && floor >= minConnections && floor <= maxConnections
  return isRight
    ? []
    : [
        {
          field: `${name}.floor`,
          value: String(floor),
          expected: `a whole number from ${minConnections} (minConnections) to ${maxConnections} (maxConnections)`
        }
      ]
}
