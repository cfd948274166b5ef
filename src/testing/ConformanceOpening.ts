/** How connections are opened and closed, and what an interrupt leaves of that. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isObjectKeyword } from "effect/Predicate"
import * as Scope from "effect/Scope"
import { moments, sweep } from "./ConformanceInterruption.ts"
import { type Check, Fault, type Observation, showCause, type Subject, turns } from "./ConformanceSubject.ts"

const adviceOnFinalizer =
  "A finalizer must succeed whatever state the connection is in: ignore the errors of a goodbye that nobody hears."

const adviceOnLeak =
  "Open the connection with `Effect.acquireRelease`, or register its finalizer in the same step: an interrupt may come " +
  "between any two operations."

const adviceOnHang =
  "Make it interruptible while it waits for the server: the pool gives it up after its timeout, and waits no longer."

/** A close must end in time and succeed. */
const closes = (close: Effect.Effect<Exit.Exit<void>, Fault>, what: string): Effect.Effect<void, Fault> =>
  Effect.flatMap(close, (exit) =>
    Exit.isSuccess(exit)
      ? Effect.void
      : Effect.fail(new Fault({ detail: `${what} failed: ${showCause(exit.cause)}`, advice: adviceOnFinalizer }))
  )

const opensAndCloses = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  Effect.gen(function* () {
    const isCounted = subject.has("count")
    const before = isCounted ? yield* subject.baseline : 0
    yield* subject.opening(({ close }) =>
      Effect.gen(function* () {
        const during = isCounted ? yield* subject.countUntil((count) => count === before + 1) : 1
        if (during !== before + 1) {
          return yield* new Fault({
            detail: `the server had ${before} connections before, and ${during} while one was open`,
            advice: "Let `connect` open one connection, and `count` count those of this connector and no others."
          })
        }
        yield* closes(close, "the close")
      })
    )
    if (!isCounted) return { detail: "opened and closed; give `count` to see it from the server's side" }
    yield* subject.returnsTo(before, "it was closed", "Register a finalizer that closes the connection in `connect`.")
    return { detail: `${before} connections before, ${before + 1} while it was open, ${before} after it` }
  })

const closesOnce = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  Effect.gen(function* () {
    const isCounted = subject.has("count")
    const before = isCounted ? yield* subject.baseline : 0
    yield* subject.opening(({ close }) =>
      Effect.gen(function* () {
        const exits = yield* Effect.all([close, close], { concurrency: "unbounded" })
        for (const exit of exits) yield* closes(Effect.succeed(exit), "one of two closes at once")
        yield* closes(close, "a later close")
      })
    )
    if (isCounted) yield* subject.returnsTo(before, "it was closed three times", "Close the connection exactly once.")
    return { detail: "closed three times, two of them at once" }
  })

const opensTwo = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  Effect.gen(function* () {
    const isCounted = subject.has("count")
    const before = isCounted ? yield* subject.baseline : 0
    const advice = "Open a new connection at each run of `connect`; a pool shares a connection by `concurrency` only."
    return yield* subject.inScope((first) =>
      subject.inScope((second) =>
        Effect.gen(function* () {
          const [one, two] = yield* Effect.forEach(
            [first, second],
            (scope) => subject.succeeds("connect", Scope.provide(subject.connector.connect, scope)),
            { concurrency: "unbounded" }
          )
          if (one === two && isObjectKeyword(one)) {
            return yield* new Fault({ detail: "two connects at once gave the same connection", advice })
          }
          const during = isCounted ? yield* subject.countUntil((count) => count === before + 2) : before + 2
          if (during !== before + 2) {
            const detail = `the server had ${before} connections before, and ${during} while two were open`
            return yield* new Fault({ detail, advice })
          }
          yield* Effect.ignore(subject.closing(first))
          yield* subject.works(two!, "after the other connection was closed", advice)
          return { detail: "two connects at once gave two connections, and one outlived the other" }
        })
      )
    )
  })

/** Connects and is interrupted on the way; whatever was opened is closed. */
const attemptsToConnect = <A>(subject: Subject<A>, when: keyof typeof moments): Effect.Effect<number, Fault> =>
  sweep(subject, moments[when], (interrupt) =>
    subject.inScope((scope) => {
      const connect = Scope.provide(subject.connector.connect, scope)
      return Effect.flatMap(interrupt("connect", connect), (exit) => {
        const failure = Exit.findErrorOption(exit)
        if (failure._tag === "Some") subject.connectErrors.push(failure.value)
        return Exit.isFailure(exit) && Exit.hasDies(exit)
          ? Effect.fail(
              new Fault({
                detail: `connect died when it was interrupted: ${showCause(exit.cause)}`,
                advice: "Let its cleanup bear that nothing has been opened yet."
              })
            )
          : Effect.void
      })
    })
  )

const leavesNothing = <A>(subject: Subject<A>, when: keyof typeof moments): Effect.Effect<Observation, Fault> =>
  Effect.gen(function* () {
    const before = yield* subject.baseline
    const count = yield* attemptsToConnect(subject, when)
    yield* subject.returnsTo(before, `${count} interrupted connects`, adviceOnLeak)
    return { detail: `${count} connects interrupted, ${before} connections before and after` }
  })

const connectsToFrozen = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  Effect.gen(function* () {
    const before = subject.has("count") && subject.isClosing ? yield* subject.baseline : undefined
    yield* subject.inScope((scope) =>
      subject.frozen(
        Effect.forEach([3, 30], (patience) =>
          givesUp(subject, "connect", Scope.provide(subject.connector.connect, scope), patience)
        )
      )
    )
    if (before !== undefined) yield* subject.returnsTo(before, "the server spoke again", adviceOnLeak)
    return { detail: "two connects to a silent server ended when they were interrupted" }
  })

/** Work that waits for a silent server is interrupted, and must end. It may also have failed by then. */
export const givesUp = <A>(
  subject: Subject<A>,
  what: string,
  work: Effect.Effect<unknown, unknown>,
  patience: number
): Effect.Effect<unknown, Fault> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(work), (fiber) =>
      restore(turns(patience)).pipe(
        Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe())),
        Effect.andThen(restore(subject.endOf(`${what}, interrupted while the server was silent,`, fiber, adviceOnHang)))
      )
    )
  )

const closesDead = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ close, connection }) =>
    Effect.gen(function* () {
      yield* subject.killing(connection)
      yield* turns()
      yield* closes(close, "the close of a dead connection")
      return { detail: "a dead connection was closed" }
    })
  )

const closesOnFrozen = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ close }) =>
    Effect.as(subject.frozen(closes(close, "the close while the server was silent")), {
      detail: "a connection was closed while the server was silent"
    })
  )

export const openingChecks = <A>(subject: Subject<A>): ReadonlyArray<Check> => [
  {
    name: "connect opens a connection, and its scope closes it",
    needs: [],
    run: Effect.tapError(opensAndCloses(subject), () =>
      Effect.sync(() => {
        subject.isClosing = false
      })
    )
  },
  { name: "a connection whose scope is closed twice is closed once", needs: [], run: closesOnce(subject) },
  { name: "two connects give two connections", needs: [], run: opensTwo(subject) },
  {
    name: "a connect that is interrupted ends",
    needs: [],
    run: Effect.map(attemptsToConnect(subject, "every"), (count) => ({ detail: `${count} connects interrupted` }))
  },
  { name: "a connect that is interrupted leaves nothing open", needs: ["count"], run: leavesNothing(subject, "every") },
  {
    name: "a connect that is interrupted at the last moment leaves nothing open",
    needs: ["count"],
    run: leavesNothing(subject, "last")
  },
  { name: "a connect to a silent server can be interrupted", needs: ["hang"], run: connectsToFrozen(subject) },
  { name: "the finalizer of a dead connection ends", needs: ["kill"], run: closesDead(subject) },
  { name: "the finalizer ends while the server is silent", needs: ["hang"], run: closesOnFrozen(subject) }
]
