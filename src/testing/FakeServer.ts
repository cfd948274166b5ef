/**
 * A server that exists only in memory and does what a script tells it: takes its time, refuses, hangs, dies, lies.
 */
import type * as Duration from "effect/Duration"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Connector from "../Connector.ts"
import type { FailureKind } from "../PoolError.ts"
import type { Dice } from "./Dice.ts"
import { type ConnectorTraits, type Faults, noFaults } from "./Faults.ts"
import { type Attempt, type FakeConnection, ServerBooks, type Witness } from "./ServerBooks.ts"

export class ServerError extends Data.TaggedError("ServerError")<{
  readonly kind: FailureKind
  readonly message: string
}> {}

export class FakeServer {
  readonly books: ServerBooks
  readonly faults: Faults = noFaults()
  private readonly dice: Dice
  private readonly traits: ConnectorTraits
  private readonly deaths = new Map<FakeConnection, Latch.Latch>()
  /** What hangs, hangs on this; a repair lets it go. */
  private hang = Latch.makeUnsafe(false)

  constructor(witness: Witness, traits: ConnectorTraits, dice: Dice) {
    this.traits = traits
    this.books = new ServerBooks(witness)
    this.dice = dice
  }

  /** No connect succeeds. */
  get isDown(): boolean {
    const { connectFails, connectHangs, refuses } = this.faults
    return refuses !== undefined || connectFails >= 1 || connectHangs >= 1
  }

  // What happens to the server.

  /** Ends a connection; whoever watches it is told, unless it goes silently. */
  kill(connection: FakeConnection, isSilent: boolean): void {
    if (connection.isDead || connection.isClosed) return
    this.books.died(connection, isSilent)
    if (!isSilent) this.deaths.get(connection)?.openUnsafe()
  }

  /** Every connection ends. */
  restart(): void {
    for (const connection of this.openConnections()) this.kill(connection, this.dice.chance(this.faults.silent))
  }

  /** All is well again; what hung goes on. */
  repair(): void {
    Object.assign(this.faults, noFaults())
    this.books.outageEnds()
    const { hang } = this
    this.hang = Latch.makeUnsafe(false)
    hang.openUnsafe()
  }

  openConnections(): ReadonlyArray<FakeConnection> {
    return this.books.connections.filter(({ isClosed, isDead }) => !isClosed && !isDead)
  }

  // What a pool sees of it.

  /** Connections of the fake server, with the functions that the traits name. */
  get connector(): Connector.Connector<FakeConnection, ServerError> {
    const { traits } = this
    return Connector.make({
      name: "simulated",
      connect: this.connect,
      fatal: (error) => error === "fatal",
      ...(traits.checks && { check: this.check }),
      ...(traits.resets && { reset: this.reset }),
      ...(traits.inspects && { inspect: ({ isDirty }) => (isDirty ? "dirty" : "clean") }),
      ...(traits.watches && { closed: this.closed }),
      ...(traits.classifies && { classify: ({ kind }) => kind })
    })
  }

  private readonly connect = Effect.suspend(() => {
    let attempt: Attempt | undefined = undefined
    const dial = Effect.suspend(() => {
      const begun = this.books.attempt()
      attempt = begun
      this.books.witness.note(`  connect ${begun.id} begins`)
      const { connectHangs, connectLatency } = this.faults
      const { connectTimeout } = this.books.witness.config
      const task = {
        what: `connect ${begun.id}`,
        hangs: connectHangs,
        latency: connectLatency,
        timeout: connectTimeout
      }
      return this.takingTime(task, undefined, () => this.answer(begun))
    })
    // Installed before there is anything to count, as an interrupt may come between any two steps.
    return Effect.onExitPrimitive(dial, (exit) => {
      if (exit._tag === "Failure" && attempt !== undefined) {
        this.books.failed(attempt)
        this.books.witness.note(`  connect ${attempt.id} failed`)
      }
      return undefined
    })
  })

  private answer(attempt: Attempt) {
    const { faults } = this
    if (faults.refuses !== undefined) {
      return Effect.fail(new ServerError({ kind: faults.refuses, message: "connection refused" }))
    }
    if (this.books.live >= faults.room) {
      return Effect.fail(new ServerError({ kind: "overloaded", message: "too many connections" }))
    }
    if (this.dice.chance(faults.connectFails)) {
      return Effect.fail(new ServerError({ kind: "transient", message: "connection reset" }))
    }
    return Effect.acquireRelease(
      Effect.sync(() => this.open(attempt)),
      (connection) => this.close(connection)
    )
  }

  private open(attempt: Attempt): FakeConnection {
    const connection = this.books.opened(attempt)
    this.books.witness.note(`  connect ${attempt.id} opened connection ${connection.id}`)
    this.deaths.set(connection, Latch.makeUnsafe(false))
    if (this.dice.chance(this.faults.drops)) this.kill(connection, false)
    return connection
  }

  private close(connection: FakeConnection): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.books.closing(connection)
      this.books.witness.note(`  connection ${connection.id} closes`)
      const { closeHangs, closeLatency } = this.faults
      const task = { what: `close ${connection.id}`, hangs: closeHangs, latency: closeLatency, timeout: undefined }
      return this.takingTime(task, undefined, () => {
        this.books.closed(connection)
        this.deaths.delete(connection)
        return Effect.void
      })
    })
  }

  private readonly check = (connection: FakeConnection): Effect.Effect<void, ServerError> =>
    Effect.suspend(() => {
      this.books.checks++
      const { checkHangs, workLatency } = this.faults
      const { checkTimeout } = this.books.witness.config
      const task = { what: `check ${connection.id}`, hangs: checkHangs, latency: workLatency, timeout: checkTimeout }
      return this.takingTime(task, connection, () => {
        const { checkAffirms, checkDenies } = this.faults
        const isAlive = connection.isDead ? this.dice.chance(checkAffirms) : !this.dice.chance(checkDenies)
        if (!isAlive) return Effect.fail(new ServerError({ kind: "transient", message: "no answer" }))
        connection.isSuspect = false
        return Effect.void
      })
    })

  private readonly reset = (connection: FakeConnection): Effect.Effect<void, ServerError> =>
    Effect.suspend(() => {
      const { resetHangs, workLatency } = this.faults
      const { resetTimeout } = this.books.witness.config
      const task = { what: `reset ${connection.id}`, hangs: resetHangs, latency: workLatency, timeout: resetTimeout }
      return this.takingTime(task, connection, () => {
        if (connection.isDead || this.dice.chance(this.faults.resetFails)) {
          return Effect.fail(new ServerError({ kind: "transient", message: "cannot reset" }))
        }
        connection.isDirty = false
        // Where a check can tell what the connection is doing, a reset does not.
        if (!this.traits.checks) connection.isSuspect = false
        return Effect.void
      })
    })

  private readonly closed = (connection: FakeConnection): Effect.Effect<void> =>
    during(
      () => {
        connection.watchers++
      },
      Effect.suspend(() => this.deaths.get(connection)?.await ?? Effect.void),
      () => {
        connection.watchers--
      }
    )

  /** Something that hangs, or takes a while, and then answers. Stubborn, it does so whoever interrupts it. */
  private takingTime<X, E, R>(
    { hangs, latency, timeout, what }: Task,
    connection: FakeConnection | undefined,
    answer: () => Effect.Effect<X, E, R>
  ): Effect.Effect<X, E, R> {
    const isHanging = this.dice.chance(hangs)
    const millis = this.dice.between(0, latency)
    const isStubborn = this.dice.chance(this.faults.stubborn)
    const wait = isHanging ? this.hang.await : millis === 0 ? Effect.void : Effect.sleep(millis)
    const work = Effect.andThen(wait, Effect.suspend(answer))
    if (connection !== undefined && isStubborn) connection.isStuck = true
    return during(
      () => this.books.begins(what, timeout, isStubborn),
      isStubborn ? Effect.uninterruptible(work) : work,
      (begun) => {
        this.books.works.delete(begun)
      }
    )
  }
}

interface Task {
  readonly what: string
  readonly hangs: number
  readonly latency: number
  /** What the pool allows for it. */
  readonly timeout: Duration.Duration | undefined
}

/** Notes when an effect begins and when it ends. One that is interrupted before it begins is not noted at all. */
const during = <N, X, E, R>(
  begins: () => N,
  effect: Effect.Effect<X, E, R>,
  ends: (noted: N) => void
): Effect.Effect<X, E, R> =>
  Effect.suspend(() => {
    let noted: { readonly note: N } | undefined = undefined
    return Effect.onExitPrimitive(
      Effect.suspend(() => {
        noted = { note: begins() }
        return effect
      }),
      () => {
        if (noted !== undefined) ends(noted.note)
        return undefined
      }
    )
  })
