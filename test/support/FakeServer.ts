/**
 * A server that exists only in memory and does what a test tells it: takes its time, refuses, hangs, dies. Counts what
 * a real server would count.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Clock } from "effect/Clock"
import * as Connector from "../../src/Connector.ts"
import type { FailureKind } from "../../src/PoolError.ts"

export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  kind: Schema.Literals(["transient", "permanent", "overloaded"]),
  message: Schema.String
}) {}

export interface FakeConnection {
  readonly id: number
  /** Completes when the server ends the connection. */
  readonly dead: Deferred.Deferred<void>
  /** What a borrower left behind. */
  isDirty: boolean
}

export class FakeServer {
  /** When each attempt to connect was made, in milliseconds of the clock. */
  readonly attempts: Array<number> = []
  readonly connections: Array<FakeConnection> = []
  readonly closed: Array<number> = []
  /** Connections end as soon as they are open. */
  dropsNew = false
  live = 0
  mostLive = 0
  checks = 0
  resets = 0
  /** What runs before a connection is open: `Effect.void`, a sleep, a failure, `Effect.never`. */
  onConnect: Effect.Effect<void, Refused> = Effect.void
  onCheck: Effect.Effect<void, Refused> = Effect.void
  /** Connections whose check fails. */
  readonly checkFails = new Set<number>()
  onReset: Effect.Effect<void, Refused> = Effect.void
  onClose: Effect.Effect<void> = Effect.void

  /** Refuses connections, and ends those that are open. */
  readonly goDown = (message = "connection refused", kind: FailureKind = "transient"): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.onConnect = Effect.fail(new Refused({ kind, message }))
      this.onCheck = Effect.fail(new Refused({ kind, message }))
      return Effect.forEach(this.connections, ({ dead }) => Deferred.succeed(dead, undefined), { discard: true })
    })

  readonly comeBack: Effect.Effect<void> = Effect.sync(() => {
    this.onConnect = Effect.void
    this.onCheck = Effect.void
  })

  readonly connect = Effect.suspend(() =>
    Effect.gen({ self: this }, function* () {
      const clock = yield* Clock
      this.attempts.push(clock.currentTimeMillisUnsafe())
      yield* this.onConnect
      return yield* Effect.acquireRelease(
        Effect.sync(() => this.open()),
        (connection) =>
          Effect.ensuring(
            Effect.suspend(() => this.onClose),
            Effect.sync(() => this.end(connection))
          )
      )
    })
  )

  private open(): FakeConnection {
    const connection = { id: this.connections.length + 1, dead: Deferred.makeUnsafe<void>(), isDirty: false }
    this.connections.push(connection)
    if (this.dropsNew) Deferred.doneUnsafe(connection.dead, Effect.void)
    this.live++
    this.mostLive = Math.max(this.mostLive, this.live)
    return connection
  }

  private end(connection: FakeConnection): void {
    this.live--
    this.closed.push(connection.id)
  }

  /** A connector without check, reset or death signal. */
  get bare(): Connector.Connector<FakeConnection, Refused> {
    return Connector.make({ name: "fake", connect: this.connect, classify: ({ kind }) => kind })
  }

  /** A connector with everything. */
  get complete(): Connector.Connector<FakeConnection, Refused> {
    return Connector.make({
      name: "fake",
      connect: this.connect,
      classify: ({ kind }) => kind,
      check: ({ id }) =>
        Effect.suspend(() => {
          this.checks++
          if (this.checkFails.has(id)) return Effect.fail(new Refused({ kind: "transient", message: "no answer" }))
          return this.onCheck
        }),
      reset: (connection) =>
        Effect.suspend(() => {
          this.resets++
          connection.isDirty = false
          return this.onReset
        }),
      inspect: ({ isDirty }) => (isDirty ? "dirty" : "clean"),
      closed: ({ dead }) => Deferred.await(dead),
      fatal: (error) => error === "fatal"
    })
  }
}

/** Lets everything run that needs no time: each turn gives every fiber a step. */
export const turns = (n = 25): Effect.Effect<void> => Effect.replicateEffect(Effect.yieldNow, n, { discard: true })
