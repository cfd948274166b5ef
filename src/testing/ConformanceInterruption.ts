/**
 * A fiber may be interrupted between any two operations. Here it is made to: it yields after every few operations, and is
 * interrupted after as many steps as one likes, before the next step or while it waits for something.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scheduler from "effect/Scheduler"
import type { Fault, Subject } from "./ConformanceSubject.ts"

/** Another scheduler, which counts the steps it has run and says when there have been so many. */
class CountingScheduler implements Scheduler.Scheduler {
  readonly executionMode: "sync" | "async"
  steps = 0
  onReached: () => void = () => {}
  private readonly base: Scheduler.Scheduler
  private readonly target: number

  constructor(base: Scheduler.Scheduler, target: number) {
    this.base = base
    this.target = target
    this.executionMode = base.executionMode
  }

  shouldYield(fiber: Parameters<Scheduler.Scheduler["shouldYield"]>[0]): boolean {
    return this.base.shouldYield(fiber)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const dispatcher = this.base.makeDispatcher()
    return {
      scheduleTask: (task, priority) =>
        dispatcher.scheduleTask(() => {
          task()
          if (++this.steps === this.target) this.onReached()
        }, priority),
      flush: () => dispatcher.flush()
    }
  }
}

/** What became of work that was interrupted, and how many steps were run in all. */
export interface Interrupted<X, E> {
  readonly exit: Exit.Exit<X, E>
  readonly steps: number
}

/** Runs work that yields after every `budget` operations, and interrupts it after a number of steps. */
export const interruptAfter = <A, X, E>(
  subject: Subject<A>,
  what: string,
  work: Effect.Effect<X, E>,
  budget: number,
  steps: number
): Effect.Effect<Interrupted<X, E>, Fault> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scheduler = new CountingScheduler(yield* Scheduler.Scheduler, steps)
      const fiber = yield* work.pipe(
        Effect.provideService(Scheduler.MaxOpsBeforeYield, budget),
        Effect.provideService(Scheduler.Scheduler, scheduler),
        // Outermost, so that this fiber goes on as it did.
        Effect.forkDetach
      )
      scheduler.onReached = () => fiber.interruptUnsafe()
      const after = Number.isFinite(steps) ? `, interrupted after step ${steps} with a budget of ${budget}` : ""
      const exit = yield* restore(subject.endOf(`${what}${after}`, fiber, adviceOnInterrupt))
      return { exit, steps: scheduler.steps }
    })
  )

const adviceOnInterrupt =
  "Let an interrupt end it at once: return a cleanup from `Effect.callback`, and keep uninterruptible regions short."

/** Where a fiber is interrupted: how often it yields, and how far it has come by then, from 0 to 1. */
interface Moment {
  readonly budget: number
  readonly progress: number
}

/** A fiber that yields more often than this gets no further: to go on takes operations of its own. */
const smallestBudget = 3

const goldenRatio = (Math.sqrt(5) - 1) / 2

/** Every other one with the smallest budget, the rest with the budgets up to 34. */
const everyMoment: ReadonlyArray<Moment> = Array.from({ length: 128 }, (_, index) => ({
  budget: index % 2 === 0 ? smallestBudget : smallestBudget + 1 + ((index >> 1) % 31),
  // Spreads evenly, however early the sweep is cut short.
  progress: (index * goldenRatio) % 1
}))

/** The last of it, when all there is to open may be open already. */
const lastMoments: ReadonlyArray<Moment> = Array.from({ length: 32 }, (_, index) => ({
  budget: smallestBudget + (index % 4),
  progress: 1 - index / 64
}))

export const moments = { every: everyMoment, last: lastMoments }

/**
 * Interrupts an attempt at many moments, for no longer than the timeout, and says how often. An attempt runs the work it
 * is given through `interrupt`; how many steps the work takes in all is measured once for each budget.
 */
export const sweep = Effect.fnUntraced(function* <A>(
  subject: Subject<A>,
  moments: ReadonlyArray<Moment>,
  attempt: (
    interrupt: <X, E>(what: string, work: Effect.Effect<X, E>) => Effect.Effect<Exit.Exit<X, E>, Fault>
  ) => Effect.Effect<unknown, Fault>
): Effect.fn.Return<number, Fault> {
  const isOver = yield* subject.deadline
  const stepsOf = new Map<number, number>()
  let count = 0
  const attemptAt = (budget: number, steps: number) => {
    let taken = 0
    const made = attempt((what, work) =>
      Effect.map(interruptAfter(subject, what, work, budget, steps), (interrupted) => {
        taken = interrupted.steps
        return interrupted.exit
      })
    )
    return Effect.map(made, () => taken)
  }
  for (const { budget, progress } of moments) {
    if (count > 0 && isOver()) break
    const total = stepsOf.get(budget) ?? (yield* attemptAt(budget, Infinity))
    stepsOf.set(budget, total)
    yield* attemptAt(budget, Math.max(1, Math.ceil(progress * total)))
    count++
  }
  return count
})
