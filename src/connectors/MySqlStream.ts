/** The rows of a statement as a stream, no faster than they are asked for. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as Driver from "./MySqlDriver.ts"
import { lost, toSqlError } from "./MySqlError.ts"
import { giveUp, inDoubtAsk } from "./MySqlRun.ts"
import * as Session from "./MySqlSession.ts"

/** How many rows wait between the driver and the stream before the server has to. */
const bufferedRows = 256

type Rows = NonEmptyReadonlyArray<unknown>

/** The rows of a statement. It has the session for as long as the stream lasts. */
export const stream = (session: Session.Session, request: Driver.Request): Stream.Stream<unknown, SqlError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* Semaphore.takeScoped(session.turn, 1)
      const rows = yield* Effect.acquireRelease(
        inDoubtAsk(session, request.sql, openRows(session, request)),
        (rows) => rows.close
      )
      return Stream.fromPull(Effect.succeed(rows.pull))
    })
  )

interface OpenRows {
  readonly pull: Effect.Effect<Rows, SqlError | Cause.Done>
  readonly close: Effect.Effect<void>
}

const openRows = (session: Session.Session, request: Driver.Request): Effect.Effect<OpenRows, SqlError> =>
  Effect.suspend(() => {
    const refusal = Session.note(session, request.sql)
    if (refusal) return Effect.fail(refusal)
    if (session.line.socket.destroyed) return Effect.fail(lost("stream"))
    return Effect.try({
      try: () => watchRows(session, request),
      catch: (error) => toSqlError(error, "stream")
    })
  })

const watchRows = (session: Session.Session, request: Driver.Request): OpenRows => {
  const command = Driver.sendForRows(session.line, request)
  const readable = command.stream({ highWaterMark: bufferedRows })
  const end = Deferred.makeUnsafe<void>()
  let failure: SqlError | undefined = undefined
  let wake = () => {}
  const finish = (): void => {
    if (session.onLost !== onLost) return
    Session.free(session)
    Deferred.doneUnsafe(end, Exit.void)
    wake()
  }
  const onLost = () => {
    failure ??= lost("stream")
    finish()
  }
  Session.occupy(session, onLost)
  // The command goes on when nobody reads any more, and an 'error' that nobody hears would end the process.
  command.on("error", (error: unknown) => {
    failure ??= toSqlError(error, "stream")
    Session.learnFailure(session, failure)
    wake()
  })
  // The driver counts the header of a result without rows among the rows.
  const headers = new WeakSet<object>()
  let givesRows = false
  command.on("fields", (fields: unknown) => {
    givesRows = fields !== undefined
  })
  command.on("result", (result: object) => {
    if (givesRows) return
    headers.add(result)
    Session.learn(session, { result })
  })
  command.on("end", finish)
  readable.on("error", () => wake())
  readable.on("readable", () => wake())
  readable.on("end", () => wake())

  // Reading makes the driver go on, and what it finds then may wake us: rows that were read in there would overtake these.
  let isReading = false
  const read = (): Array<unknown> => {
    const rows: Array<unknown> = []
    isReading = true
    for (let row: object; rows.length < bufferedRows && (row = readable.read() as object) !== null;) {
      if (!headers.has(row)) rows.push(row)
    }
    isReading = false
    return rows
  }
  const pull = Effect.callback<Rows, SqlError | Cause.Done>((resume) => {
    const attempt = () => {
      if (isReading) return
      const rows = read()
      if (rows.length > 0) return settle(Effect.succeed(rows as unknown as Rows))
      if (failure) return settle(Effect.fail(failure))
      if (readable.readableEnded || readable.destroyed) return settle(Cause.done())
    }
    const settle = (outcome: Effect.Effect<Rows, SqlError | Cause.Done>) => {
      wake = () => {}
      resume(outcome)
    }
    wake = attempt
    attempt()
  })
  const close = Effect.suspend(() => {
    // What is still to come is dropped: the connection reads on until the end of it.
    readable.destroy()
    return giveUp(session, Deferred.await(end))
  })
  return { pull, close }
}
