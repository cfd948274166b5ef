/**
 * Connections for specs: fakes that open, live and fail as a script says, on the clock of the spec.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Connector from "../Connector.ts"
import { FailureKind } from "../PoolError.ts"

const TypeId = "~effect-pool/testing/TestConnector"

/**
 * What a scripted connect, check or reset fails with.
 *
 * - `kind`: what kind of failure it is. `reason`: why, in words.
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
 * The server is gone for a while: every connection ends, and connects fail with `message`, `lasts` long from `after` on.
 *
 * `after` counts from the call of {@link TestConnector.script} that sets the outage, or else from when the connector is first
 * used, which `TestPool.layer` does when it is built. Default: 0, which is at once. `reason` is `"transient"` by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outage {
  readonly after?: Duration.Input | undefined
  readonly lasts: Duration.Input
  readonly reason?: FailureKind | undefined
  readonly message?: string | undefined
}

/**
 * What happens to the connections. All faults can be combined; none is on by default.
 *
 * What hangs does so until its fault is taken away, or until whoever waits for it gives up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Script {
  /** The next `times` connects fail in this way, and later ones succeed. */
  readonly connectFails?:
    | { readonly times: number; readonly reason: FailureKind; readonly message?: string | undefined }
    | undefined
  /** How long a connect takes. */
  readonly connectTakes?: Duration.Input | undefined
  /** Connects do not end. */
  readonly connectHangs?: boolean | undefined
  /** The server is gone for a while. */
  readonly outage?: Outage | undefined
  /** A connection ends by itself after so many leases, as it comes back from the last of them. */
  readonly diesAfterUses?: number | undefined
  /** The next so many checks fail, or all of them. */
  readonly checkFails?: number | "always" | undefined
  /** Checks do not end. */
  readonly checkHangs?: boolean | undefined
  /** How long a check takes. */
  readonly checkTakes?: Duration.Input | undefined
  /** The next so many resets fail, or all of them. */
  readonly resetFails?: number | "always" | undefined
  /** How long a reset takes. */
  readonly resetTakes?: Duration.Input | undefined
  /**
   * Closes do not end. A pool waits for one no longer than its `closeTimeout`, of which a spec's clock must pass: a spec that makes its pool without
   * `TestPool.layer`, which ends such closes, has to take the fault away before the pool's scope closes.
   */
  readonly closeHangs?: boolean | undefined
  /** The server has room for so many live connections; one more is told `too many connections`. */
  readonly maxConnections?: number | undefined
}

/**
 * A connector, and the means to control what happens to its connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestConnector<A, E = never, R = never> {
  readonly [TypeId]: typeof TypeId
  /** What the pool is made with. */
  readonly connector: Connector.Connector<A, E | TestConnectError, R>
  /**
   * Changes the script while it runs: what is left out stays as it is, and `undefined` takes a fault away, which also ends what
   * hangs because of it.
   */
  readonly script: (changes: Script) => Effect.Effect<void>
  /** Ends the connection with this number, counting from 1, as if the server had closed it. */
  readonly kill: (connection: number) => Effect.Effect<void>
  /** Ends every connection. */
  readonly killAll: Effect.Effect<void>
  /** Every connection ends and connects fail, until {@link TestConnector.endOutage}. */
  readonly startOutage: Effect.Effect<void>
  /** Connects succeed again, if the script lets them. */
  readonly endOutage: Effect.Effect<void>
  /** How many connections have opened so far. */
  readonly opened: Effect.Effect<number>
  /** How many of those have been closed by the pool. */
  readonly closed: Effect.Effect<number>
  /** How many are open, and have not died. */
  readonly live: Effect.Effect<number>
}

/**
 * How {@link make} gets its connections: a value that all share, a function from the number of a connection, counting from 1, or an
 * effect that makes one. A fake that is itself a function has to be given by one of the others.
 *
 * @category models
 * @since 0.1.0
 */
export type Fake<A, E = never, R = never> = Effect.Effect<A, E, R> | ((connection: number) => A) | A

/**
 * Whether a value is what {@link make} makes.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTestConnector = (u: unknown): u is TestConnector<unknown, unknown, unknown> => hasProperty(u, TypeId)

/**
 * How {@link make} makes a connector.
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

interface Open {
  readonly number: number
  readonly death: Latch.Latch
  uses: number
  isDead: boolean
  isClosed: boolean
  /** Whether the pool has asked to be told of its death. */
  isWatched: boolean
}

/** An outage on the clock, in milliseconds. */
interface Planned {
  readonly begins: number
  readonly ends: number
  readonly failure: TestConnectError
}

const plan = ({ after = 0, lasts, message, reason = "transient" }: Outage, now: number): Planned => {
  const begins = now + Duration.toMillis(Duration.fromInputUnsafe(after))
  return {
    begins,
    ends: begins + Duration.toMillis(Duration.fromInputUnsafe(lasts)),
    failure: new TestConnectError({ kind: reason, reason: message ?? "connection refused: the server is down" })
  }
}

const transient = (reason: string): TestConnectError => new TestConnectError({ kind: "transient", reason })

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A view of the fake that dies when it is used after its connection closed. */
const guard = <A>(fake: A, open: Open): A => {
  if (typeof fake !== "object" || fake === null) return fake
  const isInstance = !isPlain(fake)
  const bound = new Map<unknown, unknown>()
  const ensureOpen = (property: string | symbol): void => {
    // Asked by whoever prints or awaits a value, which is no use of it.
    if (!open.isClosed || typeof property === "symbol" || property === "then" || property === "toJSON") return
    // oxlint-disable-next-line no-throw-literal -- a property is read outside any effect, and can only throw
    throw new FakeUsedAfterClose({ connection: open.number, property })
  }
  return new Proxy(fake as A & object, {
    get(target, property) {
      ensureOpen(property)
      const value: unknown = Reflect.get(target, property, target)
      const isMethod = isInstance && typeof value === "function" && !Object.hasOwn(target, property)
      if (!isMethod || property === "constructor") return value
      // Bound to the instance: its private fields do not work through a proxy. The same function for the same method.
      if (!bound.has(value)) bound.set(value, (value as () => unknown).bind(target))
      return bound.get(value)
    },
    set(target, property, value) {
      ensureOpen(property)
      return Reflect.set(target, property, value, target)
    }
  }) as A
}

/** A count that goes down, or never does. */
const takeOne = (left: number | "always" | undefined): readonly [boolean, number | "always" | undefined] =>
  left === "always" ? [true, left] : left === undefined || left <= 0 ? [false, left] : [true, left - 1]

const pause = (takes: Duration.Input | undefined): Effect.Effect<void> =>
  takes === undefined ? Effect.void : Effect.sleep(takes)

/**
 * Makes a connector of fakes. Everything takes its time on the clock of the spec. For one spec: its numbers and its
 * script go on where they were.
 *
 * Where connections share one value that cannot be told apart, such as a number or an instance of a class, `check` and
 * `diesAfterUses` take the first live connection for the one that is meant.
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
  fake: Fake<A, E, R>,
  script: Script = {},
  options: Options = {}
): TestConnector<A, E, R> => {
  let faults: Script = script
  let numbered = 0
  let opened = 0
  let closed = 0
  let isDown = false
  let outage: Planned | undefined = undefined
  let isPlanned = false
  let hasBegun = false
  /** Opens at the next change of the script. */
  let changed = Latch.makeUnsafe(false)
  const connections = new Set<Open>()
  const byValue = new Map<A, ReadonlyArray<Open>>()

  const kill = (open: Open): void => {
    open.isDead = true
    open.death.openUnsafe()
  }
  const live = (): ReadonlyArray<Open> => [...connections].filter(({ isDead }) => !isDead)

  const planOutage = (now: number): void => {
    isPlanned = true
    hasBegun = false
    outage = faults.outage && plan(faults.outage, now)
  }

  /** Brings everything up to the moment. Nobody can have connected in an outage, so what lives when it is noticed dies of it. */
  const now: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (now) => {
    if (!isPlanned) planOutage(now)
    if (outage !== undefined && !hasBegun && now >= outage.begins) {
      hasBegun = true
      live().forEach(kill)
    }
    return now
  })

  const change = Effect.fnUntraced(function* (changes: Script) {
    const at = yield* now
    faults = { ...faults, ...changes }
    if ("outage" in changes) planOutage(at)
    const previous = changed
    changed = Latch.makeUnsafe(false)
    previous.openUnsafe()
    yield* now
  })

  const hang = (fault: "connectHangs" | "checkHangs" | "closeHangs"): Effect.Effect<void> =>
    Effect.suspend(() => (faults[fault] === true ? Effect.andThen(changed.await, hang(fault)) : Effect.void))

  const refusal = (at: number): TestConnectError | undefined => {
    if (isDown) return transient("connection refused: the server is down")
    if (outage !== undefined && at >= outage.begins && at < outage.ends) return outage.failure
    const { connectFails, maxConnections } = faults
    if (connectFails !== undefined && connectFails.times > 0) {
      faults = { ...faults, connectFails: { ...connectFails, times: connectFails.times - 1 } }
      return new TestConnectError({ kind: connectFails.reason, reason: connectFails.message ?? "connection refused" })
    }
    return maxConnections !== undefined && live().length >= maxConnections
      ? new TestConnectError({ kind: "overloaded", reason: "too many connections" })
      : undefined
  }

  const fakeOf = (number: number): Effect.Effect<A, E, R> => {
    if (Effect.isEffect(fake)) return fake as Effect.Effect<A, E, R>
    return Effect.sync(() => (typeof fake === "function" ? (fake as (connection: number) => A)(number) : (fake as A)))
  }

  const forget = (open: Open): void => {
    open.isClosed = true
    for (const [value, owners] of byValue) {
      const others = owners.filter((other) => other !== open)
      if (others.length === 0) byValue.delete(value)
      else if (others.length < owners.length) byValue.set(value, others)
    }
  }

  const close = Effect.fnUntraced(function* (open: Open) {
    if (!connections.has(open)) return
    forget(open)
    // Until then it keeps its place on the server.
    yield* hang("closeHangs")
    connections.delete(open)
    closed++
  })

  const openOne = Effect.fnUntraced(function* () {
    const open: Open = {
      number: ++numbered,
      death: Latch.makeUnsafe(false),
      uses: 0,
      isDead: false,
      isClosed: false,
      isWatched: false
    }
    yield* Effect.addFinalizer(() => close(open))
    const made = yield* fakeOf(open.number)
    return yield* Effect.sync(() => {
      opened++
      connections.add(open)
      const isGuarded = options.guarded ?? (typeof made === "object" && made !== null && isPlain(made))
      const value = isGuarded ? guard(made, open) : made
      byValue.set(value, [...(byValue.get(value) ?? []), open])
      return value
    })
  })

  const connect = Effect.gen(function* () {
    yield* now
    yield* pause(faults.connectTakes)
    yield* hang("connectHangs")
    const refused = refusal(yield* now)
    if (refused !== undefined) return yield* refused
    return yield* openOne()
  })

  const ownerOf = (value: A): Open | undefined => byValue.get(value)?.find(({ isDead }) => !isDead)

  const check = Effect.fnUntraced(function* (value: A) {
    yield* pause(faults.checkTakes)
    yield* hang("checkHangs")
    yield* now
    const [fails, left] = takeOne(faults.checkFails)
    faults = { ...faults, checkFails: left }
    if (fails || ownerOf(value) === undefined) return yield* transient("the check was not answered")
  })

  const reset = Effect.fnUntraced(function* (value: A) {
    yield* pause(faults.resetTakes)
    yield* now
    const [fails, left] = takeOne(faults.resetFails)
    faults = { ...faults, resetFails: left }
    if (fails || ownerOf(value) === undefined) return yield* transient("the reset failed")
  })

  /** Asked at the end of every lease, which is where uses are counted. */
  const inspect = (value: A): "clean" | "dirty" => {
    const open = ownerOf(value)
    if (open !== undefined && ++open.uses >= (faults.diesAfterUses ?? Infinity)) kill(open)
    return faults.resetFails === undefined && faults.resetTakes === undefined ? "clean" : "dirty"
  }

  /** Nobody else keeps the time for an outage: every connection sleeps until its beginning. */
  const death = (open: Open): Effect.Effect<void> =>
    Effect.flatMap(now, (at) => {
      if (open.isDead) return Effect.void
      const isAhead = outage !== undefined && !hasBegun && outage.begins < Infinity
      const change = isAhead ? Effect.raceFirst(changed.await, Effect.sleep(outage!.begins - at)) : changed.await
      return Effect.andThen(Effect.raceFirst(open.death.await, change), death(open))
    })

  return {
    [TypeId]: TypeId,
    connector: Connector.make({
      name: options.name ?? "test",
      connect,
      check,
      reset,
      inspect,
      closed: (value: A) => {
        const open = byValue.get(value)?.find(({ isWatched }) => !isWatched)
        if (open === undefined) return Effect.never
        open.isWatched = true
        return death(open)
      },
      classify: (error) => (error instanceof TestConnectError ? error.kind : "transient")
    }) as Connector.Connector<A, E | TestConnectError, R>,
    script: change,
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
    live: Effect.map(now, () => live().length)
  }
}
