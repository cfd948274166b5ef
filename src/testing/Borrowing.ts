/** How the callers of a simulation use a pool, and how they tell what they see. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as ConnectionPool from "../ConnectionPool.ts"
import * as Priority from "../Priority.ts"
import { Caller, type Request } from "./Caller.ts"
import type { FakeConnection } from "./ServerBooks.ts"
import type { World } from "./World.ts"

/** What a borrower does with a connection. */
export interface Work {
  /** How long it takes, in milliseconds. */
  readonly millis: number
  readonly ending: "succeeds" | "fails" | "fails fatally" | "dies" | "interrupts itself"
  /** It leaves something behind on the connection. */
  readonly leavesDirt: boolean
  /** How it borrows: by `use`, or by `acquire`, `reserve` or `lease` in a scope of its own. */
  readonly by: "use" | "acquire" | "reserve" | "lease"
  /** With `lease`: says in the end that nobody should have the connection again. */
  readonly discards: boolean
  /** Having returned it, it interrupts whoever waits: perhaps one who was just served. */
  readonly strikes: boolean
  /** It borrows another meanwhile, to so many levels. */
  readonly nested: number
  /** It lets others go first. */
  readonly isBatch: boolean
  /** Its own time-out, in milliseconds; 0 for none. */
  readonly patience: number
}

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

/** Starts a caller that borrows, works and returns. */
export const borrow = (world: World, pool: Pool, name: string, work: Work): Caller => {
  const caller = new Caller(name)
  const asked = once(world, pool, caller, work)
  const bounded = work.patience > 0 ? Effect.timeoutOption(asked, work.patience) : asked
  return begin(world, caller, work.strikes ? Effect.andThen(bounded, strike(world)) : bounded)
}

/** From within a fiber: the pool may be in the middle of waking those it has served. */
const strike = (world: World): Effect.Effect<void> =>
  Effect.sync(() => {
    const { observer } = world
    const victim = observer.callers.find(({ requests }) => requests.some(({ state }) => state === "asking"))
    if (victim !== undefined) observer.interrupt(victim)
  })

const begin = (world: World, caller: Caller, effect: Effect.Effect<unknown, unknown>): Caller => {
  // Known before it runs: it may be served in its first step.
  world.observer.callers.push(caller)
  caller.fiber = world.fork(effect)
  world.look()
  return caller
}

/** One acquire with the work that follows, told step by step. */
const once = (world: World, pool: Pool, caller: Caller, work: Work): Effect.Effect<unknown, unknown> =>
  asking(world, caller, work, (request) => {
    const got = (connection: FakeConnection) => {
      world.observer.isServed(caller, request, connection)
      return holding(world, caller, request, workOn(world, pool, caller, connection, work), work.leavesDirt)
    }
    if (work.by === "use") return ConnectionPool.use(pool, got)
    if (work.by === "reserve") return Effect.scoped(Effect.flatMap(ConnectionPool.reserve(pool), got))
    if (work.by === "acquire") return Effect.scoped(Effect.flatMap(ConnectionPool.acquire(pool), got))
    return Effect.scoped(
      Effect.flatMap(ConnectionPool.lease(pool), ({ connection, discard }) => {
        const held = got(connection)
        return work.discards ? Effect.andThen(Effect.andThen(discard, noteDiscarded(world, connection)), held) : held
      })
    )
  })

const asking = <E, R>(
  world: World,
  caller: Caller,
  work: Pick<Work, "by" | "isBatch" | "patience">,
  acquire: (request: Request) => Effect.Effect<unknown, E, R>
): Effect.Effect<unknown, E, R> =>
  Effect.suspend(() => {
    let request: Request | undefined = undefined
    const asked = Effect.suspend(() => {
      const isExclusive = work.by === "reserve" && world.config.concurrency > 1
      request = world.observer.asks(caller, { isImpatient: work.patience > 0, isExclusive, isBatch: work.isBatch })
      return work.isBatch ? Priority.batch(acquire(request)) : acquire(request)
    })
    return Effect.onExitPrimitive(asked, (exit) => {
      if (request !== undefined) world.observer.ends(caller, request, exit)
      return undefined
    })
  })

/** Holds a connection while an effect runs, and lets go before the pool is told. */
const holding = <E>(
  world: World,
  caller: Caller,
  request: Request,
  effect: Effect.Effect<unknown, E>,
  leavesDirt: boolean
): Effect.Effect<unknown, E> =>
  Effect.onExitPrimitive(
    Effect.suspend(() => {
      world.observer.holds(caller, request)
      return effect
    }),
    (exit) => {
      world.observer.letsGo(request, exit, leavesDirt)
      return undefined
    }
  )

const workOn = (
  world: World,
  pool: Pool,
  caller: Caller,
  connection: FakeConnection,
  work: Work
): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() => {
    const steps: Array<Effect.Effect<unknown, unknown>> = []
    if (work.nested > 0) steps.push(once(world, pool, caller, { ...work, nested: work.nested - 1 }))
    if (work.millis > 0) steps.push(Effect.sleep(work.millis))
    steps.push(Effect.suspend(() => endingOf(connection, work)))
    return Effect.all(steps, { discard: true })
  })

const endingOf = (connection: FakeConnection, { ending }: Work): Effect.Effect<void, string> => {
  // On a connection that has died no statement works, and the driver says so.
  if (connection.isDead || ending === "fails fatally") return Effect.fail("fatal")
  if (ending === "fails") return Effect.fail("an ordinary error")
  if (ending === "dies") return Effect.die("a defect")
  return ending === "interrupts itself" ? Effect.interrupt : Effect.void
}

const noteDiscarded = (world: World, connection: FakeConnection): Effect.Effect<void> =>
  Effect.sync(() => {
    connection.condemnedAt = world.step
  })

/** A connection that is held in a scope which somebody else closes later. */
export class Loan {
  readonly caller: Caller
  readonly scope = Scope.makeUnsafe()
  private readonly world: World
  private readonly work: Pick<Work, "leavesDirt">
  private request: Request | undefined = undefined
  private discard: Effect.Effect<void> | undefined = undefined
  private isReturned = false
  private exit: Exit.Exit<unknown, unknown> | undefined = undefined

  constructor(world: World, pool: Pool, name: string, work: Pick<Work, "leavesDirt">) {
    this.world = world
    this.work = work
    this.caller = new Caller(name)
    const leased = asking(world, this.caller, { by: "lease", isBatch: false, patience: 0 }, (request) => {
      this.request = request
      return Effect.map(ConnectionPool.lease(pool), (lease) => this.got(request, lease))
    })
    begin(world, this.caller, Effect.provideService(leased, Scope.Scope, this.scope))
  }

  private got(request: Request, { connection, discard }: ConnectionPool.Lease<FakeConnection>): void {
    // The scope was closed before this fiber could look: the lease has ended with it, or ends with the fiber.
    if (this.isReturned) return
    this.world.observer.isServed(this.caller, request, connection)
    this.discard = discard
    this.world.observer.holds(this.caller, request)
  }

  /** Says that nobody should have the connection again. Without effect once it is returned. */
  discardNow(): void {
    const { connection } = this.request ?? {}
    if (this.discard === undefined || connection === undefined) return
    const noted = Effect.suspend(() => (this.isReturned ? Effect.void : noteDiscarded(this.world, connection)))
    this.world.fork(Effect.andThen(this.discard, noted))
  }

  /** Closes the scope. A scope may be closed again, and nothing comes of it. */
  close(exit: Exit.Exit<unknown, unknown>): void {
    const caller = new Caller(`the return of ${this.caller.name}`)
    begin(
      this.world,
      caller,
      // An interrupt between the end of a scope and its finalizers would lose them, whoever's they are.
      Effect.uninterruptible(
        Effect.suspend(() => {
          if (!this.isReturned && this.request !== undefined) {
            this.world.observer.letsGo(this.request, exit, this.work.leavesDirt)
          }
          const returned = this.isReturned ? undefined : this.request
          const wasHeld = returned?.state === "returning"
          this.isReturned = true
          // Of two that close it the second may be the faster one, and what the pool hears must be what was noted.
          this.exit ??= exit
          const noted = Effect.sync(() => {
            if (wasHeld) this.world.observer.hasReturned(returned!)
          })
          return Effect.andThen(Scope.close(this.scope, this.exit), noted)
        })
      )
    )
    this.world.note(`  ${caller.name}`)
  }
}
