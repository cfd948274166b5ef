import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { Connector } from "../Connector.ts"

/**
 * What the kit cannot know of a connector. All of it may be left out: a check that lacks what it needs is skipped, and says what to
 * give.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, R = never> {
  /** How long any one step may take, and how long a check goes on interrupting. Default: 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** A typical operation of a borrower. It is interrupted at every operation, so it must bear being run often. */
  readonly use?: ((connection: A) => Effect.Effect<unknown, unknown, R>) | undefined
  /** Leaves something behind that `reset` is to take away. */
  readonly dirty?: ((connection: A) => Effect.Effect<unknown, unknown, R>) | undefined
  /** Whether nothing of what `dirty` does is left. */
  readonly isClean?: ((connection: A) => Effect.Effect<boolean, unknown, R>) | undefined
  /** Ends the connection from the server's side. */
  readonly kill?: ((connection: A) => Effect.Effect<unknown, unknown, R>) | undefined
  /** How many connections the server has. Only this tells leaks, so count no others that come and go meanwhile. */
  readonly count?: Effect.Effect<number, unknown, R> | undefined
  /** Makes the server silent, with its connections open, and lets it speak again. */
  readonly hang?:
    | { readonly freeze: Effect.Effect<unknown, unknown, R>; readonly thaw: Effect.Effect<unknown, unknown, R> }
    | undefined
  /** Errors that `connect` fails with, for `classify` to say what kind each is. */
  readonly connectErrors?: ReadonlyArray<unknown> | undefined
}

/** Something that the connector does wrong. */
export class Fault extends Data.TaggedError("Fault")<{ readonly detail: string; readonly advice: string }> {}

/** What a check that passed has seen, and, rarely, what could be better. */
export interface Observation {
  readonly detail: string
  readonly advice?: string
}

/** What a check may need: a part of the connector, or an option of the kit. */
export type Need =
  | "reset"
  | "inspect"
  | "check"
  | "closed"
  | "classify"
  | "fatal"
  | Exclude<keyof Options<never>, "timeout">

/** One promise of a connector, and how it is put to the test. */
export interface Check {
  readonly name: string
  readonly needs: ReadonlyArray<Need>
  readonly run: Effect.Effect<Observation, Fault>
}

/** A connection of the kit's own. */
export interface Opened<A> {
  readonly connection: A
  /** Closes its scope, and says how that ended. */
  readonly close: Effect.Effect<Exit.Exit<void>, Fault>
}

/** A stranger's error, in few words. It may be anything: without a prototype, with getters that throw. */
export const show = (error: unknown): string =>
  Result.getOrElse(
    Result.try(() => {
      const text = error instanceof Error && error.message !== "" ? error.message : String(error)
      return text.length > 300 ? `${text.slice(0, 300)}...` : text
    }),
    () => "something that cannot be shown"
  )

export const showCause = (cause: Cause.Cause<unknown>): string => show(Cause.squash(cause))

/** Lets everything run that needs no time, and the sockets that are ready be read. */
export const turns = (n = 20): Effect.Effect<void> => Effect.replicateEffect(Effect.yieldNow, n, { discard: true })

/** The connector that is put to the test, with a limit to everything that it does. */
export class Subject<A> {
  readonly connector: Connector<A, unknown>
  readonly options: Options<A>
  readonly timeout: Duration.Duration
  /** Failures of `connect` that the checks have met. */
  readonly connectErrors: Array<unknown> = []
  /** Connections are closed when nothing comes in between. If not, counting them says nothing of other checks. */
  isClosing = true
  /** A connection did not close: the next ones are not waited for, unless a check is about just that. */
  private closesHang = false
  /** What the server had when nothing of ours was open. */
  private level: number | undefined = undefined

  constructor(connector: Connector<A, unknown>, options: Options<A>) {
    this.connector = connector
    this.options = options
    this.timeout = Duration.fromInputUnsafe(options.timeout ?? "5 seconds")
    this.connectErrors.push(...(options.connectErrors ?? []))
  }

  get patience(): string {
    return Duration.format(this.timeout)
  }

  has(need: Need): boolean {
    return need === "connectErrors"
      ? this.connectErrors.length > 0
      : (this.connector as Partial<Record<Need, unknown>>)[need] !== undefined ||
          (this.options as Partial<Record<Need, unknown>>)[need] !== undefined
  }

  /**
   * Waits for work no longer than the timeout. Work that cannot be interrupted goes on by itself: the kit may not hang
   * because a connector does.
   */
  exitOf<X, E>(what: string, work: Effect.Effect<X, E>, advice = ""): Effect.Effect<Exit.Exit<X, E>, Fault> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDetach(work), (fiber) => restore(this.endOf(what, fiber, advice)))
    )
  }

  /** Waits for a fiber no longer than the timeout. It is interrupted when it is not waited for any more. */
  endOf<X, E>(what: string, fiber: Fiber.Fiber<X, E>, advice = ""): Effect.Effect<Exit.Exit<X, E>, Fault> {
    return Effect.timeoutOption(Fiber.await(fiber), this.timeout).pipe(
      Effect.flatMap(
        Option.match({
          onNone: () => Effect.fail(new Fault({ detail: `${what} did not end within ${this.patience}`, advice })),
          onSome: Effect.succeed
        })
      ),
      Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
    )
  }

  /** The same, for work that must succeed. */
  succeeds<X>(what: string, work: Effect.Effect<X, unknown>, advice = ""): Effect.Effect<X, Fault> {
    return Effect.flatMap(this.exitOf(what, work, advice), (exit) =>
      Exit.isSuccess(exit)
        ? Effect.succeed(exit.value)
        : Effect.fail(new Fault({ detail: `${what} failed: ${showCause(exit.cause)}`, advice }))
    )
  }

  /** One of the connector's functions as a pool calls it: what it takes is given back at its end. */
  call(part: "check" | "reset" | "closed", connection: A): Effect.Effect<unknown, unknown> {
    return Effect.scoped(Effect.suspend(() => this.connector[part]!(connection)))
  }

  /** An option's function. */
  ask<X>(f: ((connection: A) => Effect.Effect<X, unknown>) | undefined, connection: A): Effect.Effect<X, unknown> {
    return Effect.suspend(() => f!(connection))
  }

  /** What a pool takes `inspect` for: a question that throws or answers nonsense has the careful answer. */
  inspect(connection: A): "clean" | "dirty" | "broken" {
    const { inspect, reset } = this.connector
    if (inspect === undefined) return reset === undefined ? "clean" : "dirty"
    const answer = Result.getOrElse(
      Result.try(() => inspect(connection)),
      () => "dirty" as const
    )
    return answer === "clean" || answer === "broken" ? answer : "dirty"
  }

  /** Opens a connection, gives it to `f`, and closes it whatever comes of that. */
  opening<X>(f: (opened: Opened<A>) => Effect.Effect<X, Fault>): Effect.Effect<X, Fault> {
    return this.inScope((scope) =>
      Effect.flatMap(this.succeeds("connect", Scope.provide(this.connector.connect, scope)), (connection) =>
        f({ connection, close: this.closing(scope) })
      )
    )
  }

  /** A scope that is closed at the end. How that goes is the affair of the checks that are about it. */
  inScope<X, E>(f: (scope: Scope.Closeable) => Effect.Effect<X, E>): Effect.Effect<X, E> {
    return Effect.uninterruptibleMask((restore) => {
      const scope = Scope.makeUnsafe()
      return Effect.flatMap(Effect.exit(restore(f(scope))), (exit) =>
        // Not restored: whoever interrupts the kit finds everything closed.
        Effect.andThen(Effect.ignore(this.leave(scope)), exit)
      )
    })
  }

  closing(scope: Scope.Closeable): Effect.Effect<Exit.Exit<void>, Fault> {
    // Uninterruptible, so that a finalizer past its time still runs to its end.
    const close = Effect.uninterruptible(Scope.close(scope, Exit.void))
    return Effect.tapError(this.exitOf("the close", close, adviceOnClose), () =>
      Effect.sync(() => {
        this.closesHang = true
      })
    )
  }

  private leave(scope: Scope.Closeable): Effect.Effect<unknown, Fault> {
    return Effect.suspend((): Effect.Effect<unknown, Fault> =>
      this.closesHang ? Effect.forkDetach(Effect.uninterruptible(Scope.close(scope, Exit.void))) : this.closing(scope)
    )
  }

  /** Tells whether the timeout has passed since. */
  readonly deadline: Effect.Effect<() => boolean> = Effect.map(Clock.Clock, (clock) => {
    const over = clock.currentTimeMillisUnsafe() + Duration.toMillis(this.timeout)
    return () => clock.currentTimeMillisUnsafe() >= over
  })

  readonly counted: Effect.Effect<number, Fault> = Effect.suspend(() =>
    this.succeeds("`count`", this.options.count!, "Give a `count` that works at any time.")
  )

  /** How many connections the server has, when those that earlier checks have closed are gone. */
  readonly baseline: Effect.Effect<number, Fault> = Effect.suspend(() => {
    const { level } = this
    const settled = level === undefined ? this.counted : this.countUntil((count) => count <= level)
    return Effect.tap(settled, (count) =>
      Effect.sync(() => {
        this.level = count
      })
    )
  })

  /** Counts until the number is right, or time is over, and gives the last number. */
  readonly countUntil = Effect.fnUntraced(function* <A>(
    this: Subject<A>,
    holds: (count: number) => boolean
  ): Effect.fn.Return<number, Fault> {
    const isOver = yield* this.deadline
    let count = yield* this.counted
    while (!holds(count) && !isOver()) {
      yield* Effect.sleep("10 millis")
      count = yield* this.counted
    }
    return count
  })

  /** Fails unless the server gets back to as many connections as it had. */
  returnsTo(before: number, done: string, advice: string): Effect.Effect<void, Fault> {
    return Effect.flatMap(
      this.countUntil((count) => count === before),
      (after) =>
        after === before
          ? Effect.void
          : Effect.fail(
              new Fault({
                detail: `the server had ${before} connections before, and ${after} after ${done} (waited ${this.patience})`,
                advice
              })
            )
    )
  }

  /** Whether a connection does what it is for: it passes its check and serves a borrower, as far as these are given. */
  works(connection: A, when: string, advice: string): Effect.Effect<void, Fault> {
    const { connector, options } = this
    return Effect.andThen(
      connector.check === undefined
        ? Effect.void
        : this.succeeds(`${when}, \`check\``, this.call("check", connection), advice),
      options.use === undefined
        ? Effect.void
        : this.succeeds(`${when}, \`use\``, this.ask(options.use, connection), advice)
    )
  }

  /** Does something while the server is silent. It speaks again whatever comes of that. */
  frozen<X>(f: Effect.Effect<X, Fault>): Effect.Effect<X, Fault> {
    const { freeze, thaw } = this.options.hang!
    return Effect.acquireUseRelease(
      this.succeeds("`hang.freeze`", freeze),
      () => f,
      () => this.succeeds("`hang.thaw`", thaw)
    )
  }

  /** Ends a connection from the server's side. */
  killing(connection: A): Effect.Effect<unknown, Fault> {
    return this.succeeds(
      "`kill`",
      this.ask(this.options.kill, connection),
      "Give a `kill` that works on any connection."
    )
  }
}

export const adviceOnClose =
  "Close without waiting for the server, or bound the wait: a connection counts against `maxConnections` until then."
