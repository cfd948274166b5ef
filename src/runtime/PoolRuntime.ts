/**
 * The hands of the pool: carries out what the engine decides and reports what came of it. Holds no policy. Every fiber
 * it starts belongs to it and ends with it.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { audit } from "../engine/Audit.ts"
import type { Sweep } from "../engine/BackgroundChecks.ts"
import type { Connection } from "../engine/Connection.ts"
import type { Decision } from "../engine/Decision.ts"
import { Engine } from "../engine/Engine.ts"
import type { Lease } from "../engine/Lease.ts"
import type { PoolConfig } from "../PoolConfig.ts"
import type { ConnectError } from "../PoolError.ts"
import { Backoff } from "./Backoff.ts"
import type { BoundConnector } from "./BoundConnector.ts"
import type { Borrower } from "./Borrower.ts"
import { engineOptions } from "./EngineSettings.ts"
import { Readers } from "./Events.ts"
import { FailureLog } from "./Failures.ts"
import { PoolTime } from "./PoolTime.ts"
import { Operations } from "./Operations.ts"
import { refusalError } from "./Refusals.ts"
import {
  reportChange,
  reportLeak,
  reportLeakReturned,
  reportLimitLowered,
  reportNested,
  reportPolicyFault,
  reportRefusal,
  reportRevoked,
  reportWarming
} from "./Reports.ts"
import { Resource } from "./Resource.ts"
import { check, closeConnection, connect, reset } from "./Upkeep.ts"

/** How many waiters are woken in one go. Their bodies run inside it, so it must end for others to get a turn. */
const wakesPerTurn = 64

export class PoolRuntime<A> {
  readonly name: string
  readonly config: PoolConfig
  readonly connector: BoundConnector<A>
  readonly engine: Engine<Resource<A>>
  readonly clock: Clock.Clock
  readonly time: PoolTime
  readonly failures = new FailureLog()
  readonly readers: Readers<A>
  readonly operations = new Operations()
  /** Wall time when the pool was made. */
  readonly since: number
  /** Where connections are borrowed is noted with a stack, because an operator wants to know; until when, in wall time. */
  capturesStacks = false
  capturesStacksUntil: number | undefined = undefined
  /** Called once, when the pool has closed. */
  onClosed: (() => void) | undefined = undefined
  /** From this wait on it is worth an event on the borrower's span, in milliseconds. */
  readonly slowWait: number
  /** Borrowers leave a note of what they hold, so that a nested acquire is seen. */
  readonly watchesNesting: boolean
  readonly forbidsNesting: boolean
  /** Open while the pool is ready, and for good once it is closing: whoever waits must look at the state. */
  readonly ready = Latch.makeUnsafe(false)
  readonly closed = Latch.makeUnsafe(false)
  /** How the first attempt to connect ended; a pool that closes before it has ended completes it too. */
  readonly firstConnect = Deferred.makeUnsafe<void, ConnectError>()
  /** Called whenever the pool has done what the engine decided: somebody shares out a budget between several pools. */
  onChange: (() => void) | undefined = undefined
  private readonly context: Context.Context<never>
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  /** The open connections by what borrowers hold of them, where that is an object: the others are looked for. */
  private readonly byValue = new Map<unknown, Connection<Resource<A>>>()
  private readonly sweeps = new Map<Sweep, Latch.Latch>()
  private readonly backoff: Backoff<A>
  private readonly isDebugging: boolean
  private isPerforming = false
  private isScheduled = false
  private alarm: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private alarmAt = Infinity
  /** When the alarm can go off at the earliest: what it is for may have been due before it was set. */
  private alarmFrom = Infinity
  /** The latest that a timer was in the last seconds, and when that was. */
  private late = { at: -Infinity, by: 0 }

  constructor(options: {
    readonly name: string
    readonly connector: BoundConnector<A>
    readonly config: PoolConfig
    readonly context: Context.Context<never>
    readonly clock: Clock.Clock
    readonly random: () => number
    readonly slowWait: number
  }) {
    const { clock, config, connector, context, name, random, slowWait } = options
    this.name = name
    this.config = config
    this.connector = connector
    this.context = context
    this.slowWait = slowWait
    this.clock = clock
    this.since = clock.currentTimeMillisUnsafe()
    this.dispatcher = Context.get(context, Scheduler.Scheduler).makeDispatcher()
    this.time = new PoolTime(clock, this.dispatcher)
    this.backoff = new Backoff(this)
    this.readers = new Readers(this)
    this.watchesNesting = config.nested !== "allow"
    this.forbidsNesting = config.nested === "error"
    this.isDebugging = LogLevel.isLessThanOrEqualTo(Context.get(context, References.MinimumLogLevel), "Debug")
    this.engine = new Engine<Resource<A>>(engineOptions(config, connector, random), this.now())
  }

  /** Milliseconds of the pool's time, read now. */
  now(): number {
    return this.time.now()
  }

  /** Starts the pool, once its end is registered in the scope. */
  readonly start: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    Effect.andThen(
      Effect.addFinalizer(() => this.drain(this.config.drainTimeout)),
      Effect.sync(() => this.transition(() => this.engine.start(this.now())))
    )
  )

  /**
   * Refuses waiters, closes what is idle, gives borrowers some time, and ends when every connection is closed. Of several
   * calls the shortest time counts. Goes on if whoever called is interrupted.
   */
  drain(within: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.transition(() => this.engine.drain(this.now()))
      if (this.engine.ledger.state !== "closed") this.fork(Effect.delay(this.revokeLeases, within))
      return this.closed.await
    })
  }

  private readonly revokeLeases: Effect.Effect<void> = Effect.sync(() => {
    const { length } = this.engine.ledger.leases
    if (length > 0) reportRevoked(this, length)
    this.transition(() => this.engine.revokeLeases(this.now()))
  })

  /** Checks all idle connections, a few at a time, and says what came of it. */
  readonly sweep: Effect.Effect<Sweep> = Effect.suspend(() => {
    const done = Latch.makeUnsafe(false)
    const sweep = this.engine.sweep(this.now())
    this.sweeps.set(sweep, done)
    this.perform()
    return Effect.as(done.await, sweep)
  })

  /** What contradicts the pool's promises now. */
  audit(): ReadonlyArray<string> {
    return audit(this.engine, this.now())
  }

  // Connections by what borrowers hold of them.

  remember(connection: Connection<Resource<A>>, value: A): void {
    if (isIdentifiable(value)) this.byValue.set(value, connection)
  }

  forget(connection: Connection<Resource<A>>): void {
    if (connection.openedAt === undefined) return
    const { value } = connection.resource
    if (this.byValue.get(value) === connection) this.byValue.delete(value)
  }

  /** The open connection that is this value, if there is one. */
  find(value: A): Connection<Resource<A>> | undefined {
    if (isIdentifiable(value)) return this.byValue.get(value)
    for (const connection of this.engine.ledger.connections) {
      if (connection.openedAt !== undefined && connection.resource.value === value) return connection
    }
    return undefined
  }

  /** Changes the engine's state from outside a borrower's fast path, and carries out what it decided. */
  transition(change: () => void): void {
    change()
    this.perform()
  }

  /** Starts a fiber of the pool. */
  fork<X, E>(effect: Effect.Effect<X, E>): Fiber.Fiber<X, E> {
    const fiber = Effect.runForkWith(this.context)(effect)
    if (fiber.pollUnsafe() === undefined) {
      this.fibers.add(fiber)
      fiber.addObserver(() => this.fibers.delete(fiber))
    }
    return fiber
  }

  /** Starts a fiber that nobody can end in time, such as a finalizer that hangs: the pool does not wait for it. */
  forkUnowned<X, E>(effect: Effect.Effect<X, E>): Fiber.Fiber<X, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  /**
   * Carries out what the engine has decided, until nothing is left.
   *
   * Waking a waiter runs its fiber up to its next suspension, which may release a connection and decide more. That is
   * left to the loop already running: 100,000 waiters in a row need one stack frame, not 100,000. After some wakes the
   * loop makes room for others and goes on in the dispatcher's next turn.
   */
  perform(): void {
    if (this.isPerforming || this.isScheduled) return
    this.isPerforming = true
    for (let wakes = 0; wakes < wakesPerTurn;) {
      const decision = this.engine.nextDecision()
      if (decision === undefined) break
      if (decision._tag === "Serve" || decision._tag === "Refuse") wakes++
      this.carryOutAlone(decision)
    }
    this.isPerforming = false
    if (this.engine.hasDecisions) this.performLater()
    this.setAlarm()
    this.onChange?.()
  }

  /**
   * What an observer of a woken fiber throws is its own affair: neither this loop's, nor the borrower's in whose step the
   * loop runs.
   */
  private carryOutAlone(decision: Decision<Resource<A>>): void {
    try {
      this.carryOut(decision)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  private performLater(): void {
    this.isScheduled = true
    this.later(() => {
      this.isScheduled = false
      this.perform()
    })
  }

  private carryOut(decision: Decision<Resource<A>>): void {
    switch (decision._tag) {
      case "Serve":
        return this.serve(decision.waiter as Borrower<A>)
      case "Refuse": {
        const error = refusalError(this, decision.refusal, decision.waiter)
        reportRefusal(this, error)
        return (decision.waiter as Borrower<A>).resume(Effect.fail(error))
      }
      case "Open":
        decision.connection.resource = new Resource()
        if (decision.connection.probeOf !== undefined) this.failures.noteRetry()
        this.fork(connect(this, decision.connection))
        return
      case "Check":
        this.fork(check(this, decision.connection))
        return
      case "Reset":
        this.fork(reset(this, decision.connection))
        return
      case "Close":
        this.fork(closeConnection(this, decision.connection, decision.reason))
        return
      case "Backoff":
        return this.backoff.start(decision.kind, decision.startsOver)
      case "Changed":
        return this.changed(decision)
      case "Nested":
        return reportNested(this, decision.waiter)
      case "Warming":
        return reportWarming(this, decision.open, decision.minimum)
      case "Swept":
        this.sweeps.get(decision.sweep)?.openUnsafe()
        this.sweeps.delete(decision.sweep)
        return
      case "PolicyFault":
        return reportPolicyFault(this, decision.policy, decision.fault)
      case "LimitLowered":
        return reportLimitLowered(this, decision.limit)
      case "LeakSuspected":
        return reportLeak(this, decision.lease as Lease<unknown>, decision.fact)
      case "LeakReturned":
        return reportLeakReturned(this, decision)
      case "Spare":
        // Whoever shares out the budget looks after every turn of the loop.
        return
    }
  }

  private serve(borrower: Borrower<A>): void {
    // Interrupted between being served and being woken: its connection has gone on already.
    if (borrower.state !== "served") return
    if (!borrower.isParked) this.later(() => this.serve(borrower))
    else if (this.engine.wake(borrower)) borrower.goOn()
  }

  private changed({ from, state }: Extract<Decision<unknown>, { readonly _tag: "Changed" }>): void {
    if (state === "unavailable" || state === "paused" || state === "starting") this.ready.closeUnsafe()
    else this.ready.openUnsafe()
    // Whoever waits for the first connect must not wait for ever.
    if (state === "draining") Deferred.doneUnsafe(this.firstConnect, Exit.void)
    reportChange(this, state, from)
    if (state === "closed") {
      // Whoever awaits the end goes on within the next step, and must not find the pool among those that live.
      this.onClosed?.()
      this.closed.openUnsafe()
      // In a later turn: the last close is running on one of them.
      this.later(() => {
        for (const fiber of this.fibers) fiber.interruptUnsafe()
      })
    }
  }

  /** Runs something in the dispatcher's next turn. */
  later(task: () => void): void {
    this.dispatcher.scheduleTask(task, 0)
  }

  // Logging: on a fiber of its own, since a logger that throws must not take anything of the pool with it.

  log(
    level: LogLevel.Severity,
    message: string,
    annotations: Readonly<Record<string, unknown>> = {},
    ...details: ReadonlyArray<unknown>
  ): void {
    const { idle, inUse, limit, total, waiting } = this.engine.ledger
    const counts = `${inUse}/${limit} in use, ${idle.length} idle, ${total} in all, ${waiting} waiting`
    this.fork(Effect.annotateLogs(Effect.logWithLevel(level)(message, ...details), { ...annotations, counts }))
  }

  /** Logs what is of interest to somebody who looks for a fault, and costs nothing while nobody does. */
  debug(
    message: string,
    annotations: () => Readonly<Record<string, unknown>>,
    ...details: ReadonlyArray<unknown>
  ): void {
    if (this.isDebugging) this.log("Debug", message, annotations(), ...details)
  }

  /** The same for a message that takes some work. */
  debugLazily(message: () => string, annotations: Readonly<Record<string, unknown>>): void {
    if (this.isDebugging) this.log("Debug", message(), annotations)
  }

  /** How late a timer was in the last seconds: the event loop had no time for it. */
  lateBy(now: number): number {
    return now - this.late.at < latenessTold ? this.late.by : 0
  }

  private noteLate(now: number): void {
    const by = Math.max(0, now - this.alarmFrom)
    if (by >= this.lateBy(now)) this.late = { at: now, by }
  }

  /** Notes a stack with every lease for a while. Zero ends it. */
  captureStacks(duration: Duration.Duration): void {
    const until = this.clock.currentTimeMillisUnsafe() + Duration.toMillis(duration)
    this.capturesStacks = Duration.isGreaterThan(duration, Duration.zero)
    this.capturesStacksUntil = this.capturesStacks ? until : undefined
    const end = Effect.sync(() => {
      // Asked again meanwhile, it is for that to end it.
      if (this.capturesStacksUntil === until) this.captureStacks(Duration.zero)
    })
    if (this.capturesStacks) this.fork(Effect.delay(end, duration))
  }

  /** One timer for all deadlines, moved only when something is due earlier than it. */
  private setAlarm(): void {
    const at = this.engine.wakeAt()
    if (at >= this.alarmAt) return
    this.alarm?.interruptUnsafe()
    this.alarmAt = at
    const now = this.now()
    // What a pool without connections has put off is due at once when it has one again. No timer was late for that.
    this.alarmFrom = Math.max(at, now)
    this.alarm = this.fork(
      Effect.delay(
        Effect.sync(() => {
          const woken = this.now()
          this.noteLate(woken)
          this.alarmAt = Infinity
          this.operations.look(this.engine.ledger, woken)
          this.transition(() => this.engine.tick(woken))
        }),
        // Rounded up: timers have whole milliseconds, and waking early would wake again.
        Math.max(1, Math.ceil(at - now))
      )
    )
  }
}

/** For so long a timer that was late is remembered, in milliseconds. */
const latenessTold = 10_000

const isIdentifiable = (value: unknown): boolean =>
  (typeof value === "object" && value !== null) || typeof value === "function"
