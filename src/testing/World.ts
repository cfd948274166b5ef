/**
 * Everything a run is made of, and the one place where it moves: tasks of fibers, time, and a look at the promises after
 * each of them. Plain synchronous code outside of Effect, or Effect's own scheduler would have a say.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ConnectionPool from "../ConnectionPool.ts"
import type { PoolConfig } from "../PoolConfig.ts"
import * as PoolRegistry from "../PoolRegistry.ts"
import type { PoolStatus } from "../PoolStatus.ts"
import { Dice } from "./Dice.ts"
import { EventBooks } from "./EventBooks.ts"
import { FakeServer } from "./FakeServer.ts"
import type { ConnectorTraits, Faults } from "./Faults.ts"
import type { Breach, PromiseNumber } from "./Promises.ts"
import { Observer } from "./Observer.ts"
import { SeededScheduler } from "./SeededScheduler.ts"
import type { FakeConnection, Witness } from "./ServerBooks.ts"
import { SimulationClock } from "./SimulationClock.ts"

/** More tasks than this at one moment, and they will never end. */
const tasksAtOneMoment = 50_000

/** What is drawn for a run before anything happens. */
export interface Setting {
  readonly config: PoolConfig
  readonly traits: ConnectorTraits
  readonly faults: Partial<Faults>
  /** The operations a fiber may run before it makes room for others. */
  readonly budget: number
  /** The share of tasks that do not run in order. */
  readonly disorder: number
}

export class World implements Witness {
  readonly config: PoolConfig
  readonly setting: Setting
  readonly dice = new Dice(0)
  readonly scheduler: SeededScheduler
  readonly clock: SimulationClock
  readonly server: FakeServer
  readonly observer: Observer
  readonly trace: Array<string> = []
  breached: Breach | undefined = undefined
  /** Rises with every task and every operation. */
  step = 0
  /** Fibers that have not ended. */
  fibers = 0
  pool: ConnectionPool.ConnectionPool<FakeConnection> | undefined = undefined
  /** Ends with the pool, or with why there is none. */
  readonly making: Fiber.Fiber<unknown, unknown>
  closingSince: number | undefined = undefined
  closing: Fiber.Fiber<unknown, unknown> | undefined = undefined
  highestMaximum: number
  takenBelow = 0
  /** The step at which connections were last taken from their borrowers. */
  takenAt = -1
  private isScopeClosed = false
  private readonly events = new EventBooks()
  private audit: Effect.Effect<ReadonlyArray<string>> | undefined = undefined
  readonly runSync: <X, E>(effect: Effect.Effect<X, E>) => X
  private readonly scope = Scope.makeUnsafe()
  private readonly context: Context.Context<never>
  private lastNumbers = ""

  constructor(setting: Setting, seed: number) {
    const { budget, config, disorder, faults, traits } = setting
    this.setting = setting
    this.config = config
    this.highestMaximum = config.maxConnections
    this.dice.reseed(seed)
    this.scheduler = new SeededScheduler(this.dice, disorder)
    this.clock = new SimulationClock(this.scheduler, this.dice)
    this.server = new FakeServer(this, traits, this.dice)
    Object.assign(this.server.faults, faults)
    this.observer = new Observer(this)
    this.context = this.services(budget)
    this.runSync = Effect.runSyncWith(this.context)
    this.making = this.fork(
      Effect.provideService(
        Effect.tap(ConnectionPool.make(this.server.connector, config), (pool) => Effect.sync(() => this.made(pool))),
        Scope.Scope,
        this.scope
      )
    )
    this.look()
  }

  get now(): number {
    return this.clock.now
  }
  get stalled(): number {
    return this.clock.stalled
  }
  get longestStall(): number {
    return this.clock.longestStall
  }

  note(line: string): void {
    this.trace.push(`${String(this.now).padStart(7)}  ${line}`)
  }

  breach(promise: PromiseNumber, what: string): void {
    if (this.breached !== undefined) return
    this.breached = { promise, what }
    this.note(`BROKEN PROMISE ${promise}: ${what}`)
  }

  /** Starts a fiber of the simulation. */
  fork<X, E>(effect: Effect.Effect<X, E>): Fiber.Fiber<X, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  // Moving on.

  /** Runs up to `count` tasks. */
  run(count: number): void {
    for (let left = count; left > 0 && this.scheduler.waiting > 0 && this.breached === undefined; left--) {
      this.step++
      this.scheduler.runOne()
      this.observer.lookAtOvertaken()
      this.look()
    }
  }

  /** Runs tasks until there are none: everything has come to rest that does not wait for time. */
  settle(): void {
    this.run(tasksAtOneMoment)
    if (this.breached !== undefined) return
    if (this.scheduler.waiting > 0) return this.breach(7, "the pool's fibers never come to rest")
    if (this.server.isDown) this.server.books.outageBegins()
    this.server.books.lookAtRest()
    this.observer.lookAtRest()
  }

  /** Time passes, and everything that is due happens on the way; what is due at its end is left to come. */
  pass(millis: number): void {
    const end = this.now + millis
    for (this.settle(); this.breached === undefined && this.clock.nextAt <= end; this.settle()) {
      this.clock.moveTo(this.clock.nextAt)
      if (this.now === end) return
    }
    this.clock.moveTo(end)
  }

  /** Time passes until `isOver`, and no longer than `millis`; says whether it came to that. */
  passUntil(isOver: () => boolean, millis: number): boolean {
    const end = this.now + millis
    for (this.settle(); this.breached === undefined && !isOver(); this.settle()) {
      if (this.clock.nextAt > end) return false
      this.clock.moveTo(this.clock.nextAt)
    }
    return true
  }

  // The pool.

  /** Begins to close the pool's scope. */
  close(): void {
    if (this.isScopeClosed) return
    this.isScopeClosed = true
    this.closingSince ??= this.now
    this.closing = this.fork(Scope.close(this.scope, Exit.void))
    this.look()
  }

  /** Begins to close the pool, and leaves its scope open. */
  drain(): void {
    if (this.closing !== undefined || this.pool === undefined) return
    this.closingSince = this.now
    this.closing = this.fork(ConnectionPool.drain(this.pool))
    this.look()
  }

  resize(limits: ConnectionPool.Limits): void {
    this.highestMaximum = Math.max(this.highestMaximum, limits.maxConnections ?? 0)
    this.server.books.connectsAreEnded(this.status()!.connecting)
    this.runSync(Effect.exit(ConnectionPool.resize(this.pool!, limits)))
  }

  recycle(interrupt: boolean): void {
    if (interrupt) {
      this.takenBelow = this.server.books.connections.length
      this.takenAt = this.step
    }
    this.server.books.connectsAreEnded(this.status()!.connecting)
    this.runSync(Effect.exit(ConnectionPool.recycle(this.pool!, { interrupt })))
  }

  status(): PoolStatus | undefined {
    return this.pool === undefined ? undefined : this.runSync(ConnectionPool.status(this.pool))
  }

  /** Notes the pool's numbers when they have changed. */
  noteNumbers(): void {
    const status = this.status()
    if (status === undefined) return
    this.observer.lookAtStatus(status)
    const numbers =
      `${status.state}: ${status.idle} idle, ${status.inUse} in use, ${status.connecting} connecting, ` +
      `${status.checking} checking, ${status.resetting} resetting, ${status.closing} closing, ${status.waiting} waiting`
    if (numbers === this.lastNumbers) return
    this.lastNumbers = numbers
    this.note(`  ${numbers}`)
  }

  /** After every step: what must hold at any time. */
  look(): void {
    if (this.audit === undefined || this.breached !== undefined) return
    const contradictions = this.runSync(this.audit)
    if (contradictions.length > 0) this.breach(promiseOf(contradictions[0]!), contradictions.join("; "))
  }

  /** Every start has exactly one end: asked when the pool has come to its own. */
  lookAtEvents(): void {
    for (const contradiction of this.events.contradictions) this.breach(10, contradiction)
  }

  private made(pool: ConnectionPool.ConnectionPool<FakeConnection>): void {
    this.pool = pool
    this.audit = ConnectionPool.audit(pool)
    this.fork(Stream.runForEach(ConnectionPool.events(pool), (event) => Effect.sync(() => this.events.note(event))))
    this.note("the pool is made")
  }

  private services(budget: number): Context.Context<never> {
    const count: Metric.FiberRuntimeMetricsService = {
      recordFiberStart: () => {
        this.fibers++
      },
      recordFiberEnd: () => {
        this.fibers--
      }
    }
    return Context.empty().pipe(
      Context.add(Scheduler.Scheduler, this.scheduler),
      Context.add(Scheduler.MaxOpsBeforeYield, budget),
      Context.add(Clock.Clock, this.clock),
      Context.add(Random.Random, {
        nextIntUnsafe: () => Math.floor((this.dice.next() - 0.5) * Number.MAX_SAFE_INTEGER),
        nextDoubleUnsafe: () => this.dice.next()
      }),
      Context.add(References.CurrentLoggers, new Set()),
      Context.add(References.MinimumLogLevel, "None"),
      Context.add(References.TracerEnabled, false),
      Context.add(Metric.FiberRuntimeMetrics, count),
      // A life that breaks a promise is left where it stands: its pool would be seen in the process's metrics for ever.
      Context.add(PoolRegistry.PoolRegistry, PoolRegistry.make())
    )
  }
}

/** Under which number an audit's sentence falls. */
const promiseOf = (sentence: string): PromiseNumber => {
  if (sentence.includes("negative")) return 10
  return sentence.includes("waiter") ? 2 : 1
}

export const millisOf = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))
