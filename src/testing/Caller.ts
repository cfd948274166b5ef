import type * as Fiber from "effect/Fiber"
import type { FakeConnection } from "./ServerBooks.ts"

/**
 * One acquire of one caller, as the caller sees it.
 *
 * - `asking`: it waits for a connection. `served`: it has been given one. `holding`: it works with it.
 * - `returning`: it has let go, and waits for nothing. `ended`: returned, refused or interrupted.
 */
export class Request {
  readonly id: number
  readonly askedAt: number
  /** The step of the run at which it asked. */
  readonly askedStep: number
  /** How much time the run had lost to stalls when it asked. */
  readonly stalledBefore: number
  state: "asking" | "served" | "holding" | "returning" | "ended" = "asking"
  /** The first quiet moment at which it stood in line, as a number and as a time. */
  inLineSince: number | undefined = undefined
  inLineAt = Infinity
  /** It was interrupted: nothing may be given to it any more. */
  isInterrupted = false
  /** Its caller may take it away at some time of its own, so that nobody can say when it left the line. */
  readonly isImpatient: boolean
  /** It wants a connection to itself, where they are shared: those who do stand in a line of their own. */
  readonly isExclusive: boolean
  /** It lets others go first, and stands in a line of its own, too. */
  readonly isBatch: boolean
  connection: FakeConnection | undefined = undefined
  /** The step of the run at which it was told that it was served. */
  servedStep = Infinity
  returnedAt = 0
  /** It leaves something behind, or has found the connection to be of no use. */
  isSpoiling = false

  constructor(
    id: number,
    asked: { at: number; step: number; stalled: number; isImpatient: boolean; isExclusive: boolean; isBatch: boolean }
  ) {
    this.id = id
    this.askedAt = asked.at
    this.askedStep = asked.step
    this.stalledBefore = asked.stalled
    this.isImpatient = asked.isImpatient
    this.isExclusive = asked.isExclusive
    this.isBatch = asked.isBatch
  }
}

/** A fiber of the simulation that uses the pool. */
export class Caller {
  readonly name: string
  declare fiber: Fiber.Fiber<unknown, unknown>
  /** Its acquires that have not ended. */
  readonly requests: Array<Request> = []
  isInterrupted = false
  /** It was interrupted while there was something that an interrupt ends. */
  mustEndInterrupted = false

  constructor(name: string) {
    this.name = name
  }
}
