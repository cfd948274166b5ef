/**
 * Time that moves only when it is moved. Effect's `TestClock` does not serve here: moving it is itself an effect, which
 * waits on the live clock for fibers to settle, so no seeded scheduler can drive it.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Dice } from "./Dice.ts"
import type { SeededScheduler } from "./SeededScheduler.ts"

interface Sleep {
  readonly at: number
  /** Of sleeps that end at the same time, the lowest ends first. */
  readonly order: number
  readonly wake: () => void
  isOver: boolean
}

/** Wall time at the start of every run: no clock in production is near zero. */
const epoch = 1_700_000_000_000
const nanosPerMilli = 1_000_000n

export class SimulationClock implements Clock.Clock {
  /** Milliseconds since the run began; whole ones, like those of a timer. */
  now = 0
  /** How much of that passed while nobody could run. */
  stalled = 0
  /** The longest of these times. */
  longestStall = 0
  private nanos = 0n
  private readonly dice: Dice
  private readonly scheduler: SeededScheduler
  /** The earliest last. */
  private readonly sleeps: Array<Sleep> = []

  constructor(scheduler: SeededScheduler, dice: Dice) {
    this.scheduler = scheduler
    this.dice = dice
  }

  currentTimeMillisUnsafe(): number {
    return epoch + this.now
  }
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  currentTimeNanosUnsafe(): bigint {
    return BigInt(epoch + this.now) * nanosPerMilli
  }
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  monotonicTimeNanosUnsafe(): bigint {
    return this.nanos
  }
  readonly monotonicTimeNanos = Effect.sync(() => this.nanos)

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0) return Effect.yieldNow
    if (millis === Infinity) return Effect.never
    return Effect.callback<void>((resume) => {
      const sleep: Sleep = {
        at: Math.ceil(this.now + millis),
        order: this.dice.next(),
        wake: () => {
          if (!sleep.isOver) resume(Effect.void)
          sleep.isOver = true
        },
        isOver: false
      }
      this.insert(sleep)
      return Effect.sync(() => {
        if (sleep.isOver) return
        sleep.isOver = true
        const index = this.sleeps.indexOf(sleep)
        if (index >= 0) this.sleeps.splice(index, 1)
      })
    })
  }

  /** How many sleep. */
  get sleeping(): number {
    return this.sleeps.length
  }

  /** When the next sleep ends. */
  get nextAt(): number {
    return this.sleeps.at(-1)?.at ?? Infinity
  }

  /** Moves time; the sleeps that end become tasks of the scheduler, in the order of time. */
  moveTo(time: number): void {
    this.now = time
    this.nanos = BigInt(time) * nanosPerMilli
    while (this.nextAt <= time) this.scheduler.add(this.sleeps.pop()!.wake)
  }

  /** Time passes, and nobody can run meanwhile: a long computation, a garbage collection, a laptop's lid. */
  stall(millis: number): void {
    this.stalled += millis
    this.longestStall = Math.max(this.longestStall, millis)
    this.moveTo(this.now + millis)
  }

  private insert(sleep: Sleep): void {
    const { sleeps } = this
    let index = sleeps.length
    while (index > 0 && isBefore(sleeps[index - 1]!, sleep)) index--
    sleeps.splice(index, 0, sleep)
  }
}

const isBefore = (self: Sleep, that: Sleep): boolean =>
  self.at < that.at || (self.at === that.at && self.order < that.order)
