import type * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import { hasProperty } from "effect/Predicate"
import type { PoolStatus } from "../PoolStatus.ts"
import { Caller, Request } from "./Caller.ts"
import type { FakeConnection } from "./ServerBooks.ts"
import { millisOf, type World } from "./World.ts"

/** Timers have whole milliseconds. */
const rounding = 1

/** How long a pool may count on a check, in milliseconds, before it opens another connection for who waits. */
const patience = 100

/** A sizing policy that has opened nothing for those who wait is asked again after so long, at the latest. */
const askedAgainAfter = 250

const counters = [
  "created",
  "closed",
  "acquired",
  "released",
  "timedOut",
  "cancelled",
  "shed",
  "connectFailures",
  "retries"
] as const

/** Sees what callers see, and holds it against what they were promised. */
export class Observer {
  readonly callers: Array<Caller> = []
  served = 0
  /** Refusals by the tag of their error. */
  readonly refused: Record<string, number> = {}
  private readonly world: World
  private requests = 0
  /** Counts the moments at which nothing was left to do. */
  private rests = 0
  private overtaken: Array<{
    readonly name: string
    readonly earlier: Request
    readonly of: Caller
    readonly step: number
  }> = []
  /** Since when somebody waits, there is room, and nothing changes. */
  private sameSince: { readonly at: number; readonly seen: string } | undefined = undefined
  private seen: ReadonlyArray<number> = counters.map(() => 0)

  constructor(world: World) {
    this.world = world
  }

  // What callers report.

  asks(caller: Caller, wish: { isImpatient: boolean; isExclusive: boolean; isBatch: boolean }): Request {
    const { now, stalled, step } = this.world
    const request = new Request(++this.requests, { at: now, step, stalled, ...wish })
    caller.requests.push(request)
    this.world.note(`  ${caller.name} asks (${request.id})`)
    return request
  }

  /** In the very step in which the pool gives it a connection. */
  isServed(caller: Caller, request: Request, connection: FakeConnection): void {
    const { world } = this
    request.state = "served"
    request.connection = connection
    request.servedStep = world.step
    connection.wasLent = true
    this.served++
    world.note(
      `  ${caller.name} gets connection ${connection.id} after ${world.now - request.askedAt} ms (${request.id})`
    )
    if (request.isInterrupted) world.breach(4, `${caller.name} was interrupted, and gets connection ${connection.id}`)
    if (this.isOverdue(request) || world.now >= request.inLineAt + millisOf(world.config.acquireTimeout)) {
      world.breach(4, `${caller.name} gets connection ${connection.id} after its acquireTimeout`)
    }
    this.noteWhoWasEarlier(caller, request)
    this.assertMayBeLent(request, connection)
  }

  holds(caller: Caller, request: Request): void {
    request.state = "holding"
    const connection = request.connection!
    connection.borrowers++
    const isAlone = request.isExclusive || connection.isReserved
    if (request.isExclusive) connection.isReserved = true
    if (connection.borrowers > (isAlone ? 1 : this.world.config.concurrency)) {
      this.world.breach(3, `${caller.name} holds connection ${connection.id}, and so do too many others`)
    }
  }

  /** It lets go, before the pool hears of it. */
  letsGo(request: Request, exit: Exit.Exit<unknown, unknown>, leavesDirt: boolean): void {
    if (request.state !== "holding") return
    const connection = request.connection!
    connection.borrowers--
    if (request.isExclusive) connection.isReserved = false
    connection.returning++
    request.isSpoiling = leavesDirt || exit._tag === "Failure"
    if (leavesDirt) connection.isDirty = true
    request.state = "returning"
    request.returnedAt = this.world.now
    if (exit._tag === "Success") return
    if (exit.cause.reasons.some((reason) => reason._tag !== "Fail")) connection.isSuspect = true
    else if (Cause.squash(exit.cause) === "fatal") {
      connection.isBroken = true
      this.world.server.books.foundBroken()
    }
  }

  /** The pool has heard of it: a fiber may have yielded between letting go and saying so. */
  hasReturned({ connection, isSpoiling }: Request): void {
    connection!.returning--
    if (isSpoiling) connection!.spoiledAt = this.world.step
  }

  ends(caller: Caller, request: Request, exit: Exit.Exit<unknown, unknown>): void {
    const { world } = this
    if (request.state === "returning") this.hasReturned(request)
    const isRefused = request.state === "asking"
    // A loan is held on when the acquire has ended.
    if (request.state !== "holding") request.state = "ended"
    caller.requests.splice(caller.requests.indexOf(request), 1)
    const word = wordFor(exit)
    if (isRefused && exit._tag === "Failure") this.refused[word] = (this.refused[word] ?? 0) + 1
    world.note(`  ${caller.name} ends with ${word} (${request.id})`)
  }

  /** Interrupts a caller at whatever it is doing. */
  interrupt(caller: Caller): void {
    if (caller.fiber.pollUnsafe() !== undefined) return
    caller.isInterrupted = true
    for (const request of caller.requests) {
      if (request.state === "asking" && !request.isImpatient) request.isInterrupted = true
      if (request.state !== "returning" && !request.isImpatient) caller.mustEndInterrupted = true
      // Whether the pool hears of the error or of the interrupt is not to be told from here.
      if (request.state === "returning") request.connection!.isBroken = false
    }
    caller.fiber.interruptUnsafe()
    this.world.look()
  }

  // Looks.

  /** Nothing is left to do at this moment. */
  lookAtRest(): void {
    const { closingSince, config, now, stalled } = this.world
    this.rests++
    this.lookAtOvertaken(true)
    let kept = 0
    for (const caller of this.callers) {
      for (const request of caller.requests) this.lookAtRequest(caller, request)
      const exit = caller.fiber.pollUnsafe()
      if (exit === undefined) {
        if (caller.isInterrupted) this.world.breach(6, `${caller.name} was interrupted, and goes on`)
        this.callers[kept++] = caller
      } else if (caller.mustEndInterrupted && !(exit._tag === "Failure" && Cause.hasInterrupts(exit.cause))) {
        this.world.breach(6, `${caller.name} was interrupted, and ended with ${wordFor(exit)}`)
      }
    }
    this.callers.length = kept
    this.lookAtLine()
    if (closingSince === undefined || this.world.closing?.pollUnsafe() !== undefined) return
    const longest = millisOf(config.drainTimeout) + millisOf(config.closeTimeout) + 2 * rounding + stalled
    if (now > closingSince + longest) this.world.breach(9, `the pool has been closing for ${now - closingSince} ms`)
  }

  /** What the pool says of itself. */
  lookAtStatus(status: PoolStatus): void {
    const values = counters.map((name) => status[name])
    counters.forEach((name, index) => {
      if (values[index]! < this.seen[index]!)
        this.world.breach(10, `${name} has gone from ${this.seen[index]} to ${values[index]}`)
    })
    this.seen = values
    const sum = status.idle + status.inUse + status.connecting + status.checking + status.resetting + status.closing
    if (sum !== status.total) this.world.breach(1, `the states add up to ${sum}, and the total is ${status.total}`)
  }

  private lookAtRequest(caller: Caller, request: Request): void {
    const { world } = this
    if (request.state === "asking") {
      if (request.inLineSince === undefined) {
        request.inLineSince = this.rests
        request.inLineAt = world.now
      }
      if (world.closingSince !== undefined) world.breach(9, `${caller.name} still waits for a pool that is closing`)
      if (this.isOverdue(request, rounding)) {
        world.breach(7, `${caller.name} has waited ${world.now - request.askedAt} ms, longer than acquireTimeout`)
      }
    }
    if (request.state === "returning" && caller.fiber.pollUnsafe() === undefined) {
      world.breach(13, `${caller.name} waits for connection ${request.connection?.id} to be returned`)
    }
  }

  /**
   * Promise 12, as far as it can be seen from outside: while somebody waits, no connect fails and there is room, one is
   * opened, at the latest when a check has had its time, and what is in use has been for so long that a connect is quicker.
   * Not where the policy grows by the clock alone.
   */
  private lookAtLine(): void {
    if (this.world.config.sizing === "threshold") return
    const { closingSince, longestStall, now, stalled } = this.world
    const isWaiting = this.callers.some(({ requests }) => requests.some(({ state }) => state === "asking"))
    const status = isWaiting && closingSince === undefined ? this.world.status() : undefined
    const isIdle =
      status !== undefined &&
      status.state !== "paused" &&
      status.waiting > 0 &&
      status.connecting === 0 &&
      status.total < status.limit &&
      status.lastFailure === undefined
    if (!isIdle) this.sameSince = undefined
    else {
      // Every check that ends may have another begin, and every one has its time. Where doubt has risen meanwhile, it is
      // another one of the same connection, and the numbers are as before.
      const { acquired, cancelled, checking, closed, idle, inUse, timedOut, waiting } = status
      const { checks, longestConnect } = this.world.server.books
      // A connect is as slow as the pool saw it: a stall may have come between what the server did and the pool's hearing of it.
      const worthIt = inUse === 0 ? 0 : askedAgainAfter + ((longestConnect + longestStall) * inUse) / waiting
      const seen = [acquired, cancelled, checking, checks, closed, idle, timedOut, waiting, stalled].join()
      if (this.sameSince?.seen !== seen) this.sameSince = { at: now, seen }
      else if (now > this.sameSince.at + patience + worthIt + rounding) {
        this.world.breach(12, `nothing is opened for ${waiting} waiters since ${this.sameSince.at}`)
      }
    }
  }

  /** Its time is over, even if all that stalled took nothing away from it. */
  private isOverdue({ askedAt, stalledBefore }: Request, slack = 0): boolean {
    const { config, now, stalled } = this.world
    return now > askedAt + millisOf(config.acquireTimeout) + (stalled - stalledBefore) + slack
  }

  /** Promise 5: who stood in line at a quiet moment came before whoever was not there yet. */
  private noteWhoWasEarlier(caller: Caller, request: Request): void {
    const { config, now } = this.world
    const mine = request.inLineSince ?? Infinity
    for (const other of this.callers) {
      for (const earlier of other.requests) {
        const { askedAt, inLineSince, isImpatient, isInterrupted, state } = earlier
        if (
          state !== "asking" ||
          earlier.isExclusive !== request.isExclusive ||
          earlier.isBatch !== request.isBatch ||
          inLineSince === undefined ||
          inLineSince >= mine
        )
          continue
        const hasLeft = isInterrupted || isImpatient || now >= askedAt + millisOf(config.acquireTimeout)
        if (!hasLeft) this.overtaken.push({ name: caller.name, earlier, of: other, step: this.world.step })
      }
    }
  }

  /**
   * Who was served before, but is woken later in the same step, was not overtaken; nor was he who had been refused, and whose
   * fiber says so only in a later step.
   */
  lookAtOvertaken(isAtRest = false): void {
    if (this.overtaken.length === 0) return
    // Where connections are shared, several may be served at once, and the first of them may spoil the connection before the
    // others are told: these go back to their places in line, and were not overtaken. There the audit looks at the lines.
    const isShared = this.world.config.concurrency > 1
    const undecided = []
    for (const one of this.overtaken) {
      const { earlier, name, of, step } = one
      if (earlier.isInterrupted || isShared) continue
      const isAsking = earlier.state === "asking"
      if (isAsking && !isAtRest) undecided.push(one)
      else if (isAsking || (earlier.connection !== undefined && earlier.servedStep > step)) {
        this.world.breach(5, `${name} is served, and ${of.name} was there before`)
      }
    }
    this.overtaken = undecided
  }

  private assertMayBeLent(request: Request, connection: FakeConnection): void {
    const { closingSince, config, setting, takenAt } = this.world
    const lent = `connection ${connection.id} is lent`
    // A pool that closes takes its connections back, also from those who have not noticed yet that they were served.
    const mayBeTaken = closingSince !== undefined || request.askedStep <= takenAt
    if (connection.finalizers > 0 && !mayBeTaken) this.world.breach(3, `${lent}, and is being closed`)
    // Where connections are shared, it may be lent to one more before the pool hears what another has left behind, and whoever
    // asked before may have had it then, and say so only now.
    const isReturning =
      connection.returning > 0 || (config.concurrency > 1 && request.askedStep <= connection.spoiledAt)
    if (connection.isBroken && !isReturning) this.world.breach(13, `${lent} after a fatal error`)
    if (request.askedStep > connection.condemnedAt)
      this.world.breach(13, `${lent} after it was invalidated or discarded`)
    if (connection.isKnownDead && setting.traits.watches) this.world.breach(13, `${lent}, and is known to be dead`)
    if (connection.isSuspect && !isReturning)
      this.world.breach(13, `${lent} after an interrupted lease, and nothing has proven it since`)
    if (connection.isDirty && setting.traits.resets && !isReturning)
      this.world.breach(13, `${lent}, and has not been reset`)
  }
}

/** How something ended, in a word. */
export const wordFor = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return "success"
  if (Cause.hasInterruptsOnly(exit.cause)) return "an interrupt"
  const error = Cause.squash(exit.cause)
  return hasProperty(error, "_tag") ? String(error._tag) : String(error)
}
