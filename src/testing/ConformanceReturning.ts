/** What happens between two borrowers, and the questions that a pool asks without waiting. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { interruptedReset, interruptedUse } from "./ConformanceLiving.ts"
import { type Check, Fault, type Observation, show, type Subject, turns } from "./ConformanceSubject.ts"

const resets = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    Effect.gen(function* () {
      const { dirty, isClean } = subject.options
      const look = subject.succeeds("`isClean`", subject.ask(isClean, connection))
      if (!(yield* look)) {
        const detail = "`isClean` says no of a fresh connection"
        return yield* new Fault({ detail, advice: "Give an `isClean` that sees what `dirty` does, and nothing else." })
      }
      yield* subject.succeeds("`dirty`", subject.ask(dirty, connection))
      if (yield* look) {
        const detail = "`isClean` says yes of a connection after `dirty`"
        return yield* new Fault({ detail, advice: "Give an `isClean` that sees what `dirty` does." })
      }
      const advice = "Let `reset` take away all that a borrower can leave behind, or fail."
      yield* subject.succeeds("`reset` of a dirty connection", subject.call("reset", connection), advice)
      if (!(yield* look)) {
        return yield* new Fault({ detail: "`isClean` says no of a connection that was reset", advice })
      }
      yield* subject.works(connection, "after a dirty connection was reset", advice)
      return { detail: "what `dirty` left was gone after `reset`" }
    })
  )

const resetsClean = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    Effect.gen(function* () {
      const advice = "Let `reset` bear a connection that has nothing to be reset: that is what it mostly meets."
      for (let time = 1; time <= 3; time++) {
        yield* subject.succeeds("`reset` of a clean connection", subject.call("reset", connection), advice)
        yield* subject.works(connection, "after a clean connection was reset", advice)
      }
      return { detail: "a clean connection was reset 3 times and served on" }
    })
  )

const inspectsFresh = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) => {
    const verdict = subject.inspect(connection)
    if (verdict === "clean") return Effect.succeed({ detail: '`inspect` said "clean" of a fresh connection' })
    const detail = `\`inspect\` said "${verdict}" of a fresh connection`
    return verdict === "dirty"
      ? Effect.succeed({ detail, advice: "Every lease pays for a reset, however little it did." })
      : Effect.fail(new Fault({ detail, advice: 'Let `inspect` say "broken" only of a connection that has ended.' }))
  })

const inspectsDirty = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ connection }) =>
    Effect.gen(function* () {
      yield* subject.succeeds("`dirty`", subject.ask(subject.options.dirty, connection))
      const verdict = subject.inspect(connection)
      if (verdict !== "clean") return { detail: `\`inspect\` said "${verdict}" after \`dirty\`` }
      return yield* new Fault({
        detail: '`inspect` said "clean" after `dirty`: the next borrower gets what this one left',
        advice: 'Let `inspect` say "dirty" of anything that it does not know to leave nothing behind.'
      })
    })
  )

const verdicts: ReadonlyArray<unknown> = ["clean", "dirty", "broken"]

/** Asks something that a pool asks in the middle of its work, where nothing may be thrown. */
const answers = <X>(question: string, ask: () => X, allowed: ReadonlyArray<unknown>): Effect.Effect<X, Fault> => {
  const advice = `It is asked about anything, and must answer one of: ${allowed.map((value) => JSON.stringify(value)).join(", ")}.`
  const answer = Result.try(ask)
  if (Result.isFailure(answer)) {
    return Effect.fail(new Fault({ detail: `${question} threw: ${show(answer.failure)}`, advice }))
  }
  return allowed.includes(answer.success)
    ? Effect.succeed(answer.success)
    : Effect.fail(new Fault({ detail: `${question} answered: ${show(answer.success)}`, advice }))
}

const inspectAnswers = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  subject.opening(({ close, connection }) =>
    Effect.gen(function* () {
      const { dirty, kill, use } = subject.options
      const said: Array<string> = []
      const ask = (state: string) =>
        Effect.map(
          answers(`\`inspect\` of a ${state} connection`, () => subject.connector.inspect!(connection), verdicts),
          (verdict) => said.push(`${state}: ${verdict}`)
        )
      yield* ask("fresh")
      if (use !== undefined) {
        yield* subject.succeeds("`use`", subject.ask(use, connection))
        yield* ask("used")
      }
      if (dirty !== undefined) {
        yield* subject.succeeds("`dirty`", subject.ask(dirty, connection))
        yield* ask("dirty")
      }
      if (kill !== undefined) {
        yield* subject.killing(connection)
        yield* turns()
        yield* ask("dead")
      }
      yield* Effect.ignore(close)
      yield* ask("closed")
      return { detail: said.join(", ") }
    })
  )

const looped: { cause?: unknown } = {}
looped.cause = looped

/** A borrower fails with whatever it likes. */
const oddErrors: ReadonlyArray<unknown> = [
  undefined,
  null,
  "a string",
  "",
  42,
  NaN,
  false,
  Symbol("odd"),
  () => {},
  [],
  {},
  Object.create(null),
  new Error("an error", { cause: new Error("its cause") }),
  looped,
  { _tag: "Unknown", code: 42, message: null, reason: undefined, cause: null },
  { reason: { _tag: "Unknown" } },
  new AggregateError([new Error("one")], "several")
]

const fatalAnswers = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  Effect.map(
    Effect.forEach(oddErrors, (error) =>
      answers(`\`fatal\` of ${show(error)}`, () => subject.connector.fatal!(error), [true, false])
    ),
    ({ length }) => ({ detail: `answered of ${length} errors of all sorts` })
  )

/** Only what `connect` fails with is asked about, and of that the type says what it is. */
const classifyAnswers = <A>(subject: Subject<A>): Effect.Effect<Observation, Fault> =>
  Effect.suspend(() =>
    Effect.map(
      Effect.forEach(subject.connectErrors, (error) =>
        answers(`\`classify\` of ${show(error)}`, () => subject.connector.classify!(error), [
          "transient",
          "permanent",
          "overloaded"
        ])
      ),
      (kinds) => ({ detail: `of ${kinds.length} errors: ${[...new Set(kinds)].join(", ")}` })
    )
  )

export const returningChecks = <A>(subject: Subject<A>): ReadonlyArray<Check> => [
  { name: "reset takes away what a borrower left", needs: ["reset", "dirty", "isClean"], run: resets(subject) },
  { name: "reset leaves a clean connection usable", needs: ["reset"], run: resetsClean(subject) },
  interruptedReset(subject),
  { name: "inspect does not find fault with a fresh connection", needs: ["inspect"], run: inspectsFresh(subject) },
  { name: "inspect sees what a borrower left", needs: ["inspect", "dirty"], run: inspectsDirty(subject) },
  { name: "inspect answers in every state of a connection", needs: ["inspect"], run: inspectAnswers(subject) },
  { name: "fatal answers of any error", needs: ["fatal"], run: fatalAnswers(subject) },
  {
    name: "classify answers of every error of connect",
    needs: ["classify", "connectErrors"],
    run: classifyAnswers(subject)
  },
  interruptedUse(subject)
]
