/** Whether a connection is alive: what `check`, `closed`, `inspect` and `fatal` say of that. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { moments, sweep } from "./ConformanceInterruption.ts"
import { givesUp } from "./ConformanceOpening.ts"
import { type Check, Fault, type Observation, showCause, type Subject, turns } from "./ConformanceSubject.ts"

const adviceOnCheck =
  "Let `check` make a round trip: it must succeed if and only if the server answers on this connection."

const checksLive = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    Effect.as(
      Effect.replicateEffect(
        subject.succeeds("`check` of a live connection", subject.call("check", connection), adviceOnCheck),
        3,
        { discard: true }
      ),
      { detail: "3 checks in a row succeeded" }
    )
  )

/** Asks until the check fails, for no longer than the timeout: a death takes a moment to arrive. */
const failsItsCheck = <A>(subject: Subject<A>, connection: A): Effect.Effect<boolean, Fault> =>
  Effect.gen(function* () {
    const isOver = yield* subject.deadline
    while (!isOver()) {
      const exit = yield* subject.exitOf(
        "`check` of a dead connection",
        subject.call("check", connection),
        adviceOnCheck
      )
      if (Exit.isFailure(exit)) return true
      yield* Effect.sleep("10 millis")
    }
    return false
  })

const checksDead = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    Effect.gen(function* () {
      yield* subject.killing(connection)
      if (yield* failsItsCheck(subject, connection)) return { detail: "the check of a dead connection failed" }
      const detail = `\`check\` still succeeded ${subject.patience} after the server had ended the connection`
      return yield* new Fault({ detail, advice: adviceOnCheck })
    })
  )

/** Interrupts work on connections; one that has failed by then, and says so, is replaced. */
const interrupting = Effect.fnUntraced(function* <A>(
  subject: Subject<A>,
  what: "check" | "use",
  workOn: (connection: A) => Effect.Effect<unknown, unknown>,
  inspectFirst: boolean
): Effect.fn.Return<Observation, Fault> {
  const before = subject.has("count") && subject.isClosing ? yield* subject.baseline : undefined
  let told = 0
  const count = yield* sweep(subject, moments.every, (interrupt) =>
    subject.opening(({ connection }) =>
      Effect.gen(function* () {
        const exit = yield* interrupt(`\`${what}\``, workOn(connection))
        if (Exit.isFailure(exit) && !Exit.hasInterrupts(exit)) {
          const advice = `Let \`${what}\` succeed on a live connection, or else be interrupted.`
          return yield* new Fault({ detail: `\`${what}\` failed: ${showCause(exit.cause)}`, advice })
        }
        if (!(yield* isLentAgain(subject, connection, what, inspectFirst))) told++
      })
    )
  )
  if (before !== undefined) {
    yield* subject.returnsTo(before, `${count} interrupts`, `Give back what \`${what}\` takes when it is interrupted.`)
  }
  return { detail: `${count} interrupts, after ${told} of them the connection was known to be of no use` }
})

/**
 * What a pool does with a connection after an interrupt: one that is said to be broken, or fails its reset or check, is
 * closed. One that passes must work, and one that is said to be clean must not need a check for that.
 */
const isLentAgain = Effect.fnUntraced(function* <A>(
  subject: Subject<A>,
  connection: A,
  what: string,
  inspectFirst: boolean
): Effect.fn.Return<boolean, Fault> {
  const { connector, options } = subject
  const verdict = subject.inspect(connection)
  if (verdict === "broken") return false
  const advice =
    'Drain or close what an interrupt cuts off, and let `inspect` say "broken" or "dirty" until that is done.'
  if (inspectFirst && verdict === "dirty" && connector.reset !== undefined) {
    const reset = yield* subject.exitOf("`reset` after an interrupt", subject.call("reset", connection), advice)
    if (Exit.isFailure(reset)) return false
  }
  if (connector.check !== undefined) {
    const check = yield* subject.exitOf("`check` after an interrupt", subject.call("check", connection), advice)
    if (Exit.isFailure(check)) {
      const isCertain = inspectFirst && connector.inspect !== undefined && verdict === "clean"
      if (!isCertain || subject.inspect(connection) === "broken") return false
      const detail = `after an interrupted \`${what}\`, \`inspect\` said "clean" and \`check\` failed: ${showCause(check.cause)}`
      return yield* new Fault({ detail, advice })
    }
  }
  yield* subject.works(connection, `after an interrupted \`${what}\``, advice)
  if (inspectFirst && connector.reset !== undefined && options.isClean !== undefined) {
    const isClean = yield* subject.succeeds("`isClean`", subject.ask(options.isClean, connection))
    if (!isClean) {
      return yield* new Fault({ detail: "after an interrupted `use`, what it did was not taken away", advice })
    }
  }
  return true
})

const givesUpOnFrozen = <A>(subject: Subject<A>, part: "check" | "reset"): Effect.Effect<Observation, Fault> =>
  Effect.as(
    subject.opening(({ connection }) =>
      subject.frozen(givesUp(subject, `\`${part}\``, subject.call(part, connection), 30))
    ),
    { detail: `a \`${part}\` that a silent server did not answer ended when it was interrupted` }
  )

const adviceOnClosed =
  "Let `closed` wait, interruptibly, for the event that says that this connection has ended, for any number of waiters."

/** Starts as many waiters for the end of a connection, and ends those that are left when all is done. */
const watching = <A, X>(
  subject: Subject<A>,
  connection: A,
  f: (watch: Effect.Effect<Fiber.Fiber<unknown, unknown>>) => Effect.Effect<X, Fault>
): Effect.Effect<X, Fault> =>
  Effect.suspend(() => {
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    const watch = Effect.tap(Effect.forkDetach(subject.call("closed", connection)), (fiber) =>
      Effect.sync(() => fibers.push(fiber))
    )
    return Effect.ensuring(
      f(Effect.uninterruptible(watch)),
      Effect.sync(() => fibers.forEach((fiber) => fiber.interruptUnsafe()))
    )
  })

const staysOpen = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    watching(subject, connection, (watch) =>
      Effect.gen(function* () {
        const fibers = [yield* watch, yield* watch]
        yield* turns()
        // A round trip is a moment that is long enough on any connection.
        if (subject.connector.check !== undefined)
          yield* Effect.exit(subject.exitOf("check", subject.call("check", connection)))
        yield* turns()
        for (const fiber of fibers) {
          const exit = fiber.pollUnsafe()
          if (exit === undefined) continue
          const how = Exit.isSuccess(exit) ? "completed" : `ended with: ${showCause(exit.cause)}`
          return yield* new Fault({ detail: `\`closed\` ${how}, and the connection was alive`, advice: adviceOnClosed })
        }
        return { detail: "two waiters waited while the connection was alive" }
      })
    )
  )

const closedCanBeInterrupted = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    watching(subject, connection, (watch) =>
      Effect.gen(function* () {
        const fiber = yield* watch
        yield* turns()
        fiber.interruptUnsafe()
        yield* subject.endOf("`closed`, interrupted,", fiber, adviceOnClosed)
        yield* subject.works(connection, "after `closed` was interrupted", adviceOnClosed)
        return { detail: "a waiter ended when it was interrupted" }
      })
    )
  )

const closedCompletes = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    watching(subject, connection, (watch) =>
      Effect.gen(function* () {
        const fibers = [yield* watch, yield* watch]
        const leaver = yield* watch
        yield* turns()
        leaver.interruptUnsafe()
        yield* subject.killing(connection)
        const after = "after the server had ended the connection,"
        for (const fiber of fibers) yield* completes(subject, `\`closed\`, ${after}`, fiber)
        yield* completes(subject, `\`closed\`, asked for ${after}`, yield* watch)
        return { detail: "two waiters were told of the death, and so was one who asked after it" }
      })
    )
  )

/** A failure tells of the death as well; a defect tells of nothing. */
const completes = <A>(subject: Subject<A>, what: string, fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.flatMap(subject.endOf(what, fiber, adviceOnClosed), (exit) =>
    Exit.isFailure(exit) && !Cause.hasFails(exit.cause)
      ? Effect.fail(new Fault({ detail: `${what} died: ${showCause(exit.cause)}`, advice: adviceOnClosed }))
      : Effect.void
  )

const deathIsTold = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    Effect.gen(function* () {
      yield* subject.killing(connection)
      yield* turns()
      if (subject.inspect(connection) === "broken") return { detail: '`inspect` said "broken"' }
      if (subject.connector.check !== undefined && (yield* failsItsCheck(subject, connection))) {
        return { detail: "`check` failed" }
      }
      return yield* new Fault({
        detail: '`inspect` did not say "broken" of a dead connection, and no check failed',
        advice:
          "Let `inspect` look at whether the connection is known to have ended, or give a `check` that fails then."
      })
    })
  )

const errorsAreFatal = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    Effect.gen(function* () {
      const { check, fatal } = subject.connector
      const { use } = subject.options
      yield* subject.killing(connection)
      const advice = "Let `fatal` know the errors of a connection that has ended, or give a `check` that fails then."
      const exit = yield* subject.exitOf("`use` of a dead connection", subject.ask(use, connection), advice)
      if (Exit.isSuccess(exit)) {
        const detail = "`use` of a dead connection succeeded"
        return yield* new Fault({ detail, advice: "Give a `use` that needs the server's answer." })
      }
      const error = Cause.squash(exit.cause)
      // The pool takes a question that throws for a yes.
      const isFatal =
        fatal &&
        Result.getOrElse(
          Result.try(() => fatal(error)),
          () => true
        )
      if (isFatal === true) return { detail: `fatal: ${showCause(exit.cause)}` }
      if (check !== undefined && (yield* failsItsCheck(subject, connection))) {
        return { detail: `not fatal, but \`check\` failed after: ${showCause(exit.cause)}` }
      }
      return yield* new Fault({ detail: `a dead connection's error is not fatal: ${showCause(exit.cause)}`, advice })
    })
  )

export const livingChecks = <A>(subject: Subject<A>): ReadonlyArray<Check> => [
  { name: "check succeeds on a live connection", needs: ["check"], run: checksLive(subject) },
  { name: "check fails on a dead connection", needs: ["check", "kill"], run: checksDead(subject) },
  {
    name: "a check that is interrupted breaks nothing unseen",
    needs: ["check"],
    run: interrupting(subject, "check", (connection) => subject.call("check", connection), false)
  },
  {
    name: "a check can be interrupted while the server is silent",
    needs: ["check", "hang"],
    run: givesUpOnFrozen(subject, "check")
  },
  { name: "closed waits while the connection lives", needs: ["closed"], run: staysOpen(subject) },
  { name: "closed can be interrupted", needs: ["closed"], run: closedCanBeInterrupted(subject) },
  { name: "closed completes when the connection dies", needs: ["closed", "kill"], run: closedCompletes(subject) },
  { name: "a dead connection is told by inspect or check", needs: ["kill"], run: deathIsTold(subject) },
  {
    name: "an error of a dead connection is fatal, or its check fails",
    needs: ["use", "kill"],
    run: errorsAreFatal(subject)
  }
]

/** Of borrowers. It stands here since it is judged as an interrupted check is. */
export const interruptedUse = <A>(subject: Subject<A>): Check => ({
  name: "a use that is interrupted leaves a connection that works, or is known not to",
  needs: ["use"],
  run: interrupting(subject, "use", (connection) => subject.ask(subject.options.use, connection), true)
})

export const interruptedReset = <A>(subject: Subject<A>): Check => ({
  name: "a reset can be interrupted while the server is silent",
  needs: ["reset", "hang"],
  run: givesUpOnFrozen(subject, "reset")
})
