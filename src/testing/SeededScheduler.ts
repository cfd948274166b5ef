import type * as Fiber from "effect/Fiber"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"
import type { Dice } from "./Dice.ts"

/**
 * A scheduler that runs nothing by itself. Every task of every fiber lies in one bag, and whoever drives the simulation
 * takes one out when it likes: mostly the oldest, sometimes any. So between any two tasks anything else may happen.
 */
export class SeededScheduler implements Scheduler {
  // "async" is what production has: a fiber that yields goes through the dispatcher.
  readonly executionMode = "async"
  /** How many tasks have run. */
  ran = 0
  private readonly dice: Dice
  private readonly disorder: number
  private tasks: Array<() => void> = []
  private taken = 0

  /** `disorder` is the share of tasks that are not the oldest. */
  constructor(dice: Dice, disorder: number) {
    this.dice = dice
    this.disorder = disorder
  }

  private readonly dispatcher: SchedulerDispatcher = {
    scheduleTask: (task) => this.add(task),
    // Asked for by `runSync` only, whose fiber has nobody to drive it.
    flush: () => {
      while (this.waiting > 0) this.runOne()
    }
  }

  get waiting(): number {
    return this.tasks.length - this.taken
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): SchedulerDispatcher {
    return this.dispatcher
  }

  add(task: () => void): void {
    this.tasks.push(task)
  }

  /** Runs one task; there must be one. */
  runOne(): void {
    const { tasks } = this
    const isAny = this.waiting > 1 && this.disorder > 0 && this.dice.next() < this.disorder
    const index = isAny ? this.taken + this.dice.below(this.waiting) : this.taken
    const task = tasks[index]!
    if (index === this.taken) this.taken++
    else tasks.splice(index, 1)
    if (this.taken === tasks.length) {
      tasks.length = 0
      this.taken = 0
    }
    this.ran++
    task()
  }
}
