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
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { Decision } from "../engine/Decision.ts"
import { Engine } from "../engine/Engine.ts"
import type { PoolState } from "../engine/PoolState.ts"
import type { Waiter } from "../engine/Waiters.ts"
import type { PoolConfig } from "../PoolConfig.ts"
import type { ConnectError } from "../PoolError.ts"
import { Backoff } from "./Backoff.ts"
import type { BoundConnector } from "./BoundConnector.ts"
import type { Borrower } from "./Borrower.ts"
import type { Failure } from "./Failures.ts"
import { PoolTime } from "./PoolTime.ts"
import { refusalError } from "./Refusals.ts"
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
  /** Open while the pool is ready, and for good once it is closing: whoever waits must look at the state. */
  readonly ready = Latch.makeUnsafe(false)
  readonly closed = Latch.makeUnsafe(false)
  /** How the first attempt to connect ended; a pool that closes before it has ended completes it too. */
  readonly firstConnect = Deferred.makeUnsafe<void, ConnectError>()
  /** The last failed attempt of the current outage. */
  lastFailure: Failure | undefined = undefined
  private readonly context: Context.Context<never>
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly backoff: Backoff<A>
  private isPerforming = false
  private isScheduled = false
  private alarm: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private alarmAt = Infinity

  constructor(options: {
    readonly name: string
    readonly connector: BoundConnector<A>
    readonly config: PoolConfig
    readonly context: Context.Context<never>
    readonly clock: Clock.Clock
    readonly random: () => number
  }) {
    const { clock, config, connector, context, name, random } = options
    this.name = name
    this.config = config
    this.connector = connector
    this.context = context
    this.clock = clock
    this.dispatcher = Context.get(context, Scheduler.Scheduler).makeDispatcher()
    this.time = new PoolTime(clock, this.dispatcher)
    this.backoff = new Backoff(this)
    this.engine = new Engine<Resource<A>>(
      {
        minConnections: config.minConnections,
        maxConnections: config.maxConnections,
        maxConnecting: config.maxConnecting,
        maxWaiting: config.maxWaiting,
        acquireTimeout: Duration.toMillis(config.acquireTimeout),
        checkAfterIdle: Duration.toMillis(config.checkAfterIdle),
        healthCheckInterval: Duration.toMillis(config.healthCheckInterval),
        idleTimeout: Duration.toMillis(config.idleTimeout),
        maxLifetime: Duration.toMillis(config.maxLifetime),
        maxUses: config.maxUses,
        unavailableAfter: Duration.toMillis(config.unavailableAfter),
        warmupBatchSize: config.warmup.batchSize,
        warmupDelay: Duration.toMillis(config.warmup.delay),
        canCheck: connector.check !== undefined,
        canReset: connector.reset !== undefined,
        random
      },
      this.now()
    )
  }

  /** Milliseconds of the pool's time, read now. */
  now(): number {
    return this.time.now()
  }

  /** Starts the pool, once its end is registered in the scope. */
  readonly start: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    Effect.andThen(
      Effect.addFinalizer(() => this.close),
      Effect.sync(() => this.transition(() => this.engine.start(this.now())))
    )
  )

  /** Refuses waiters, closes what is idle, gives borrowers `drainTimeout`, and ends when every connection is closed. */
  private readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.transition(() => this.engine.drain())
    this.fork(
      Effect.delay(
        Effect.sync(() => this.transition(() => this.engine.revokeLeases())),
        this.config.drainTimeout
      )
    )
    return Effect.andThen(
      this.closed.await,
      Effect.sync(() => {
        for (const fiber of this.fibers) fiber.interruptUnsafe()
      })
    )
  })

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
    this.dispatcher.scheduleTask(() => {
      this.isScheduled = false
      this.perform()
    }, 0)
  }

  private carryOut(decision: Decision<Resource<A>>): void {
    switch (decision._tag) {
      case "Serve":
        return this.serve(decision.waiter as Borrower<A>)
      case "Refuse":
        return (decision.waiter as Borrower<A>).resume(
          Effect.fail(refusalError(this, decision.refusal, decision.waiter as Waiter<unknown>))
        )
      case "Open":
        decision.connection.resource = new Resource()
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
        return this.changed(decision.state)
    }
  }

  private serve(borrower: Borrower<A>): void {
    // Interrupted between being served and being woken: its connection has gone on already.
    if (borrower.state !== "served") return
    if (borrower.isParked) borrower.goOn()
    else this.dispatcher.scheduleTask(() => this.serve(borrower), 0)
  }

  private changed(state: PoolState): void {
    if (state === "unavailable") this.ready.closeUnsafe()
    else this.ready.openUnsafe()
    if (state === "closed") this.closed.openUnsafe()
    // Whoever waits for the first connect must not wait for ever.
    if (state === "draining") Deferred.doneUnsafe(this.firstConnect, Exit.void)
    this.log(
      state === "unavailable"
        ? Effect.logError("unavailable: acquires fail until a connection opens", this.lastFailure?.message)
        : Effect.logDebug(state)
    )
  }

  /** Logs on a fiber of its own: a logger that throws must not take anything of the pool with it. */
  log(effect: Effect.Effect<void>): void {
    this.fork(effect)
  }

  /** One timer for all deadlines, moved only when something is due earlier than it. */
  private setAlarm(): void {
    const at = this.engine.wakeAt()
    if (at >= this.alarmAt) return
    this.alarm?.interruptUnsafe()
    this.alarmAt = at
    this.alarm = this.fork(
      Effect.delay(
        Effect.sync(() => {
          this.alarmAt = Infinity
          this.transition(() => this.engine.tick(this.now()))
        }),
        // Rounded up: timers have whole milliseconds, and waking early would wake again.
        Math.max(1, Math.ceil(at - this.now()))
      )
    )
  }
}
