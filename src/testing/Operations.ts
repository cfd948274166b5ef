/**
 * What can happen in a simulation. One entry is one operation: how its parameters are drawn, and what it does. Targets are
 * given as numbers, taken modulo what there is, so that any part of a script is a script.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ConnectionPool from "../ConnectionPool.ts"
import { borrow, Loan, type Work } from "./Borrowing.ts"
import { Caller } from "./Caller.ts"
import type { Dice } from "./Dice.ts"
import type { Faults } from "./Faults.ts"
import type { FakeConnection } from "./ServerBooks.ts"
import type { World } from "./World.ts"

/** The parameters of an operation, as they stand in the trace. */
export type Parameters = Readonly<Record<string, string | number | boolean>>

/** What operations work on: the world, and the loans that other operations have left in it. */
export interface Stage {
  readonly world: World
  readonly loans: Array<Loan>
}

export interface OperationKind<P extends Parameters = Parameters> {
  readonly draw: (dice: Dice) => P
  /** `name` is its own in the trace: no two operations of a run have the same. */
  readonly perform: (stage: Stage, parameters: P, name: string) => void
}

const operation = <P extends Parameters>(kind: OperationKind<P>): OperationKind => kind as never

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

/** An operation that needs a pool: as long as there is none, it does nothing. */
const onPool = <P extends Parameters>({
  draw,
  perform
}: {
  readonly draw: (dice: Dice) => P
  readonly perform: (pool: Pool, stage: Stage, parameters: P, name: string) => void
}): OperationKind =>
  operation<P>({
    draw,
    perform: (stage, parameters, name) => {
      const { pool } = stage.world
      if (pool !== undefined) perform(pool, stage, parameters, name)
    }
  })

/** One fault of the server: the field and the value. */
const fault = <K extends keyof Faults>(
  field: K,
  values: readonly [Faults[K] & (string | number), ...ReadonlyArray<Faults[K] & (string | number)>]
): OperationKind =>
  operation({
    draw: (dice) => ({ value: dice.pick(values) }),
    perform: ({ world }, { value }) => {
      world.server.faults[field] = value as never
    }
  })

const shares = [0.2, 0.5, 1] as const

const anyOf = <X>(choices: ReadonlyArray<X>, number: number): X | undefined => choices[number % choices.length]

const drawTarget = (dice: Dice) => ({ target: dice.below(1000) })
const nothingToDraw = () => ({})

const drawWork = (dice: Dice): Work & Parameters => ({
  by: dice.pick(["use", "use", "acquire", "lease", "reserve"]),
  millis: dice.pick([0, 0, 1, 5, 20, 100, 400]),
  ending: dice.pick([
    "succeeds",
    "succeeds",
    "succeeds",
    "succeeds",
    "fails",
    "fails fatally",
    "dies",
    "interrupts itself"
  ]),
  leavesDirt: dice.chance(0.2),
  discards: dice.chance(0.15),
  strikes: dice.chance(0.1),
  nested: 0,
  patience: dice.chance(0.15) ? dice.pick([1, 10, 100]) : 0,
  isBatch: dice.chance(0.2)
})

/** How a scope ends. */
const exits = { success: Exit.void, failure: Exit.fail("an ordinary error"), fatal: Exit.fail("fatal") } as const

const closeLoan = ({ loans }: Stage, target: number, how: string): void => {
  const loan = anyOf(loans, target)
  if (loan === undefined) return
  loan.close(how === "interrupt" ? Exit.interrupt() : exits[how as keyof typeof exits])
}

export const operations = {
  // Callers.

  borrow: onPool({
    draw: drawWork,
    perform: (pool, { world }, work, name) => {
      borrow(world, pool, name, work)
    }
  }),
  borrowMany: onPool({
    draw: (dice) => ({ ...drawWork(dice), callers: dice.between(2, 8) }),
    perform: (pool, { world }, { callers, ...work }, name) => {
      for (let number = 1; number <= callers; number++) borrow(world, pool, `${name}.${number}`, work)
    }
  }),
  borrowNested: onPool({
    draw: (dice) => ({ ...drawWork(dice), nested: dice.between(1, 2) }),
    perform: (pool, { world }, work, name) => {
      borrow(world, pool, name, work)
    }
  }),
  takeLoan: onPool({
    draw: (dice) => ({ leavesDirt: dice.chance(0.3) }),
    perform: (pool, { loans, world }, work, name) => {
      loans.push(new Loan(world, pool, name, work))
    }
  }),
  returnLoan: operation({
    draw: (dice) => ({ ...drawTarget(dice), how: dice.pick(["success", "success", "failure", "fatal", "interrupt"]) }),
    perform: (stage, { how, target }) => {
      closeLoan(stage, target, how)
      // It stays where it is now and then, so that a later operation returns it a second time.
      if (target % 3 > 0) stage.loans.splice(target % stage.loans.length, 1)
    }
  }),
  discardLoan: operation({
    draw: drawTarget,
    perform: ({ loans }, { target }) => {
      anyOf(loans, target)?.discardNow()
    }
  }),
  interrupt: operation({
    draw: drawTarget,
    perform: ({ world }, { target }) => {
      const caller = anyOf(world.observer.callers, target)
      if (caller === undefined) return
      world.note(`  interrupts ${caller.name}`)
      world.observer.interrupt(caller)
    }
  }),
  interruptMany: operation({
    draw: drawTarget,
    perform: ({ world }, { target }) => {
      for (const caller of world.observer.callers.filter((_, index) => index % 3 !== target % 3)) {
        world.observer.interrupt(caller)
      }
    }
  }),
  invalidate: onPool({
    draw: drawTarget,
    perform: (pool, { world }, { target }) => {
      const connection = anyOf(world.server.books.connections, target)
      if (connection === undefined) return
      world.runSync(ConnectionPool.invalidate(pool, connection))
      // Of one that nobody has had yet, the pool may not have heard: then it is a stranger's.
      if (connection.wasLent) connection.condemnedAt = Math.min(connection.condemnedAt, world.step)
    }
  }),
  invalidateForeign: onPool({
    draw: nothingToDraw,
    perform: (pool, { world }) => {
      world.runSync(ConnectionPool.invalidate(pool, {} as FakeConnection))
    }
  }),
  awaitReady: onPool({
    draw: (dice) => ({ patience: dice.pick([1, 50, 500]) }),
    perform: (pool, { world }, { patience }, name) => {
      const caller = new Caller(name)
      caller.fiber = world.fork(Effect.timeoutOption(ConnectionPool.awaitReady(pool), patience))
      world.observer.callers.push(caller)
    }
  }),

  // Time.

  wait: operation({
    draw: (dice) => ({ millis: dice.pick([50, 200, 1000]) }),
    perform: ({ world }, { millis }) => {
      world.pass(millis)
    }
  }),
  lull: operation({
    draw: (dice) => ({ millis: dice.pick([2000, 5000, 20_000]) }),
    perform: ({ world }, { millis }) => {
      world.pass(millis)
    }
  }),
  stall: operation({
    draw: (dice) => ({ millis: dice.pick([1, 30, 200, 1500]) }),
    perform: ({ world }, { millis }) => {
      world.clock.stall(millis)
    }
  }),

  // The server.

  restart: operation({
    draw: nothingToDraw,
    perform: ({ world }) => {
      world.server.restart()
    }
  }),
  kill: operation({
    draw: (dice) => ({ ...drawTarget(dice), isSilent: dice.chance(0.4) }),
    perform: ({ world }, { isSilent, target }) => {
      const connection = anyOf(world.server.openConnections(), target)
      if (connection !== undefined) world.server.kill(connection, isSilent)
    }
  }),
  repair: operation({
    draw: nothingToDraw,
    perform: ({ world }) => {
      world.server.repair()
    }
  }),
  refuse: fault("refuses", ["transient", "transient", "permanent", "overloaded"]),
  limitRoom: fault("room", [0, 1, 2, 3]),
  slowConnects: fault("connectLatency", [5, 50, 300, 2000]),
  slowWork: fault("workLatency", [5, 50, 300]),
  slowCloses: fault("closeLatency", [5, 50, 300]),
  failConnects: fault("connectFails", shares),
  hangConnects: fault("connectHangs", shares),
  dropConnections: fault("drops", shares),
  hangChecks: fault("checkHangs", shares),
  denyChecks: fault("checkDenies", shares),
  affirmChecks: fault("checkAffirms", shares),
  hangResets: fault("resetHangs", shares),
  failResets: fault("resetFails", shares),
  hangCloses: fault("closeHangs", shares),
  beStubborn: fault("stubborn", shares),
  dieSilently: fault("silent", shares),

  // Whoever operates the pool.

  resize: onPool({
    draw: (dice) => {
      const maxConnections = dice.between(1, 6)
      return { minConnections: dice.between(0, Math.min(3, maxConnections)), maxConnections }
    },
    perform: (_, { world }, limits) => {
      world.resize(limits)
    }
  }),
  resizeWrongly: onPool({
    draw: drawTarget,
    perform: (pool, { world }, { target }) => {
      const wrong = anyOf(
        [{ minConnections: -1 }, { maxConnections: 0 }, { minConnections: 9, maxConnections: 2 }],
        target
      )
      const { limit, minConnections } = world.status()!
      world.runSync(Effect.exit(ConnectionPool.resize(pool, wrong!)))
      const after = world.status()!
      if (after.limit !== limit || after.minConnections !== minConnections) {
        world.breach(1, `limits of ${JSON.stringify(wrong)} were accepted`)
      }
    }
  }),
  pause: onPool({
    draw: (dice) => ({ acquires: dice.pick(["wait", "wait", "fail"]) }),
    perform: (pool, { world }, { acquires }) => {
      world.runSync(Effect.exit(ConnectionPool.pause(pool, { acquires: acquires as "wait" | "fail" })))
    }
  }),
  resume: onPool({
    draw: nothingToDraw,
    perform: (pool, { world }) => {
      world.runSync(Effect.exit(ConnectionPool.resume(pool)))
    }
  }),
  recycle: onPool({
    draw: (dice) => ({ interrupt: dice.chance(0.3) }),
    perform: (_, { world }, { interrupt }) => {
      world.recycle(interrupt)
    }
  }),
  checkIdle: onPool({
    draw: nothingToDraw,
    perform: (pool, { world }, _, name) => {
      const caller = new Caller(name)
      caller.fiber = world.fork(Effect.exit(ConnectionPool.checkIdle(pool)))
      world.observer.callers.push(caller)
    }
  }),
  drain: onPool({
    draw: nothingToDraw,
    perform: (_, { world }) => {
      world.drain()
    }
  }),

  // The pool.

  interruptMaking: operation({
    draw: nothingToDraw,
    perform: ({ world }) => {
      world.making.interruptUnsafe()
    }
  }),
  closePool: operation({
    draw: nothingToDraw,
    perform: ({ world }) => {
      world.close()
    }
  })
} as const satisfies Readonly<Record<string, OperationKind>>

export type OperationName = keyof typeof operations
