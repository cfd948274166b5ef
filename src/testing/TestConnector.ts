/**
 * Connections for specs: fakes that open, live and fail as a script says, on the clock of the spec.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Connector from "../Connector.ts"
import { FailureKind } from "../PoolError.ts"

/**
 * What a scripted connect, check or reset fails with.
 *
 * @category errors
 * @since 0.1.0
 */
export class TestConnectError extends Schema.TaggedError<TestConnectError>("effect-pool/TestConnectError")(
  "TestConnectError",
  { kind: FailureKind, reason: Schema.String }
) {
  override get message(): string {
    return this.reason
  }
}

/**
 * A fake was used after its connection had closed: `connection` is its number, `property` what was asked of it.
 *
 * @category errors
 * @since 0.1.0
 */
export class FakeUsedAfterClose extends Schema.TaggedError<FakeUsedAfterClose>("effect-pool/FakeUsedAfterClose")(
  "FakeUsedAfterClose",
  { connection: Schema.Int, property: Schema.String }
) {
  override get message(): string {
    return (
      `connection ${this.connection} is closed, and "${this.property}" was used on it. ` +
      `Use a connection only while its lease runs: inside the scope of acquire, or inside use.`
    )
  }
}

/**
 * What happens to the connections. All faults can be combined; none is on by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Script {
  /** The next `times` connects fail in this way, and later ones succeed. */
  readonly connectFails?:
    | { readonly times: number; readonly reason: FailureKind; readonly message?: string | undefined }
    | undefined
  readonly connectTakes?: Duration.Input | undefined
  readonly connectHangs?: boolean | undefined
  /** A connection ends by itself after so many leases, as it comes back from the last of them. */
  readonly diesAfterUses?: number | undefined
  /** The next so many checks fail, or all of them. */
  readonly checkFails?: number | "always" | undefined
  readonly checkHangs?: boolean | undefined
  readonly checkTakes?: Duration.Input | undefined
  /** The next so many resets fail, or all of them. */
  readonly resetFails?: number | "always" | undefined
  readonly resetTakes?: Duration.Input | undefined
  readonly closeHangs?: boolean | undefined
  /** The server has room for so many connections; one more is told `too many connections`. */
  readonly maxConnections?: number | undefined
}

/**
 * A connector, and the means to control what happens to its connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestConnector<A, E = never, R = never> {
  readonly connector: Connector.Connector<A, E | TestConnectError, R>
  /** Changes the script while it runs: what is left out stays as it is, and `undefined` takes a fault away. */
  readonly script: (changes: Script) => Effect.Effect<void>
  /** Ends the connection with this number, counting from 1, as if the server had closed it. */
  readonly kill: (connection: number) => Effect.Effect<void>
  /** Ends every connection. */
  readonly killAll: Effect.Effect<void>
  /** Every connection ends and connects fail, until {@link TestConnector.endOutage}. */
  readonly startOutage: Effect.Effect<void>
  readonly endOutage: Effect.Effect<void>
  /** How many connections have opened so far. */
  readonly opened: Effect.Effect<number>
  /** How many of those have been closed by the pool. */
  readonly closed: Effect.Effect<number>
  /** How many are open, and have not died. */
  readonly live: Effect.Effect<number>
}

/**
 * How {@link make} gets its fakes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The connector's name. Default: `"test"`. */
  readonly name?: string | undefined
  /**
   * Whether a fake that is used after its connection closed dies with {@link FakeUsedAfterClose}. Default: for plain
   * objects, and not for class instances, arrays and functions.
   */
  readonly guarded?: boolean | undefined
}

/** One connection: `value` is what borrowers see. */
interface Open {
  readonly number: number
  readonly death: Latch.Latch
  uses: number
  isDead: boolean
  isClosed: boolean
}

const transient = (reason: string): TestConnectError => new TestConnectError({ kind: "transient", reason })

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A view of the fake that dies when it is used after its connection closed. */
const guard = <A>(fake: A, open: Open): A => {
  if (typeof fake !== "object" || fake === null) return fake
  const bound = new Map<unknown, unknown>()
  return new Proxy(fake as A & object, {
    get(target, property) {
      // Asked by whoever prints or awaits a value, which is no use of it.
      if (open.isClosed && typeof property === "string" && property !== "then" && property !== "toJSON") {
        // oxlint-disable-next-line no-throw-literal -- a property is read outside any effect, and can only throw
        throw new FakeUsedAfterClose({ connection: open.number, property })
      }
      const value: unknown = Reflect.get(target, property, target)
      const descriptor = Reflect.getOwnPropertyDescriptor(target, property)
      // What cannot change must be given as it is, or the language refuses the answer.
      const isFixed = descriptor?.configurable === false && descriptor.writable === false
      if (typeof value !== "function" || isFixed || property === "constructor") return value
      // Bound to the fake itself: private fields do not work through a proxy. The same function for the same method.
      if (!bound.has(value)) bound.set(value, (value as () => unknown).bind(target))
      return bound.get(value)
    }
  }) as A
}

/** A count that goes down, or never does. */
const takeOne = (left: number | "always" | undefined): readonly [boolean, number | "always" | undefined] =>
  left === "always" ? [true, left] : left === undefined || left <= 0 ? [false, left] : [true, left - 1]

const pause = (takes: Duration.Input | undefined): Effect.Effect<void> =>
  takes === undefined ? Effect.void : Effect.sleep(takes)

/**
 * Makes a connector of fakes. `fake` is a value that all connections share, a function from the number of a connection, or
 * an effect that makes one; everything takes its time on the clock of the spec.
 *
 * **Example** (A connection that opens at the third attempt)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 * import { ConnectionPool } from "effect-pool"
 * import { TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const server = TestConnector.make((n) => ({ name: `session ${n}` }), {
 *     connectFails: { times: 2, reason: "transient" }
 *   })
 *   const pool = yield* ConnectionPool.make(server.connector, { minConnections: 1, startup: "background" })
 *   yield* TestClock.adjust("1 minute")
 *   return yield* ConnectionPool.use(pool, ({ name }) => Effect.succeed(name)) // => "session 1"
 * }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E = never, R = never>(
  fake: Effect.Effect<A, E, R> | ((connection: number) => A) | A,
  script: Script = {},
  options: Options = {}
): TestConnector<A, E, R> => {
  let faults: Script = script
  let opened = 0
  let closed = 0
  let isDown = false
  const connections = new Set<Open>()
  const byValue = new Map<A, Open>()

  const kill = (open: Open): void => {
    open.isDead = true
    open.death.openUnsafe()
  }
  const live = (): ReadonlyArray<Open> => [...connections].filter(({ isDead }) => !isDead)

  const refusal = (): TestConnectError | undefined => {
    if (isDown) return transient("connection refused: the server is down")
    const { connectFails, maxConnections } = faults
    if (connectFails !== undefined && connectFails.times > 0) {
      faults = { ...faults, connectFails: { ...connectFails, times: connectFails.times - 1 } }
      return new TestConnectError({ kind: connectFails.reason, reason: connectFails.message ?? "connection refused" })
    }
    return maxConnections !== undefined && connections.size >= maxConnections
      ? new TestConnectError({ kind: "overloaded", reason: "too many connections" })
      : undefined
  }

  const fakeOf = (number: number): Effect.Effect<A, E, R> => {
    if (Effect.isEffect(fake)) return fake as Effect.Effect<A, E, R>
    return Effect.sync(() => (typeof fake === "function" ? (fake as (connection: number) => A)(number) : (fake as A)))
  }

  const openOne = Effect.fnUntraced(function* () {
    const open: Open = { number: ++opened, death: Latch.makeUnsafe(false), uses: 0, isDead: false, isClosed: false }
    connections.add(open)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        open.isClosed = true
        for (const [value, other] of byValue) if (other === open) byValue.delete(value)
        // A close that hangs keeps its place on the server.
        if (faults.closeHangs === true) return Effect.never
        if (connections.delete(open)) closed++
        return Effect.void
      })
    )
    const made = yield* fakeOf(open.number)
    const isGuarded = options.guarded ?? (typeof made === "object" && made !== null && isPlain(made))
    const value = isGuarded ? guard(made, open) : made
    byValue.set(value, open)
    return value
  })

  const connect = Effect.gen(function* () {
    yield* pause(faults.connectTakes)
    if (faults.connectHangs === true) return yield* Effect.never
    const refused = refusal()
    if (refused !== undefined) return yield* refused
    return yield* openOne()
  })

  const check = Effect.fnUntraced(function* (value: A) {
    yield* pause(faults.checkTakes)
    if (faults.checkHangs === true) return yield* Effect.never
    const [fails, left] = takeOne(faults.checkFails)
    faults = { ...faults, checkFails: left }
    if (fails || byValue.get(value)?.isDead === true) return yield* transient("the check was not answered")
  })

  const reset = Effect.fnUntraced(function* (_: A) {
    yield* pause(faults.resetTakes)
    const [fails, left] = takeOne(faults.resetFails)
    faults = { ...faults, resetFails: left }
    if (fails) return yield* transient("the reset failed")
  })

  /** Asked at the end of every lease, which is where uses are counted. */
  const inspect = (value: A): "clean" | "dirty" => {
    const open = byValue.get(value)
    if (open !== undefined && ++open.uses >= (faults.diesAfterUses ?? Infinity)) kill(open)
    return faults.resetFails === undefined && faults.resetTakes === undefined ? "clean" : "dirty"
  }

  return {
    connector: Connector.make({
      name: options.name ?? "test",
      connect,
      check,
      reset,
      inspect,
      closed: (value: A) => byValue.get(value)?.death.await ?? Effect.never,
      classify: (error) => (error instanceof TestConnectError ? error.kind : "transient")
    }) as Connector.Connector<A, E | TestConnectError, R>,
    script: (changes) =>
      Effect.sync(() => {
        faults = { ...faults, ...changes }
      }),
    kill: (connection) => Effect.sync(() => live().forEach((open) => open.number === connection && kill(open))),
    killAll: Effect.sync(() => live().forEach(kill)),
    startOutage: Effect.sync(() => {
      isDown = true
      live().forEach(kill)
    }),
    endOutage: Effect.sync(() => {
      isDown = false
    }),
    opened: Effect.sync(() => opened),
    closed: Effect.sync(() => closed),
    live: Effect.sync(() => live().length)
  }
}
