/** A session with a server: what its borrowers hold, and what is done with it between two of them. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SurrealQueryable, SurrealSession, SurrealTransaction } from "surrealdb"
import { closed, fromDriver, type SurrealDbError } from "./SurrealError.ts"
import { type Handle, type Ledger, runInContext } from "./SurrealHandle.ts"
import type { OpenSession } from "./SurrealIdentity.ts"

/**
 * Where statements run: a connection, or a transaction on one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Queryable<out Q extends SurrealQueryable> {
  /**
   * Runs statements, and gives one result for each. Bindings are the `$variables` in them. When some fail, it fails with the error
   * of the one that made the others fail.
   */
  readonly query: <Results extends ReadonlyArray<unknown> = ReadonlyArray<unknown>>(
    sql: string,
    bindings?: Readonly<Record<string, unknown>>
  ) => Effect.Effect<Results, SurrealDbError>
  /**
   * Does anything else with the SDK: `use((session) => session.select(new RecordId("order", 7)))`. Do not keep what the function is
   * given: the next borrower may have the same session.
   */
  readonly use: <A>(f: (queryable: Q) => PromiseLike<A>) => Effect.Effect<A, SurrealDbError>
}

/**
 * A session of its own, signed in, with a namespace and a database.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection extends Queryable<SurrealSession> {
  /**
   * Runs an effect in a transaction: commits it when the effect succeeds, and cancels it when it fails or is interrupted. A commit
   * that met another transaction fails with an error for which `isConflict` holds, and nothing of it is done.
   */
  readonly transaction: <A, E, R>(
    f: (transaction: Queryable<SurrealTransaction>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SurrealDbError, R>
}

/** A server that is well ends a session in a few milliseconds. */
const patience = "1 second"

const noop = (): void => {}

/** One session of the SDK, from its opening to its end. */
interface Opened {
  readonly session: SurrealSession
  readonly ledger: Ledger
  /** Sessions that its borrower has made from it. They end with it. */
  readonly forks: Array<Opened>
}

/** A session of ours from now on. */
const own = (handle: Handle, session: SurrealSession): Opened => {
  // What signed it in and chose its database is not what a borrower has done.
  handle.forget(session.session)
  const opened: Opened = { session, ledger: handle.ledgerOf(session.session), forks: [] }
  const fork = session.forkSession.bind(session)
  session.forkSession = async () => {
    opened.ledger.isTouched = true
    const made = await fork()
    const forked = own(handle, made)
    if (opened.ledger.isEnded) await end(handle, forked)
    else opened.forks.push(forked)
    return made
  }
  return opened
}

class Live implements Connection {
  readonly handle: Handle
  readonly openSession: OpenSession
  opened: Opened
  /** Sessions that it had before and that have not been ended yet. */
  readonly former = new Set<Opened>()
  /** It is no use any more: the handle is gone, or the session is somebody else's, or it is closed. */
  isLost = false
  private readonly listeners = new Set<() => void>()
  private readonly leaveHandle: () => void

  constructor(handle: Handle, openSession: OpenSession, opened: Opened) {
    this.handle = handle
    this.openSession = openSession
    this.opened = opened
    this.leaveHandle = handle.onLost(() => this.lose())
    opened.ledger.onExpiry = () => this.lose()
  }

  readonly query: Connection["query"] = <Results extends ReadonlyArray<unknown>>(
    sql: string,
    bindings?: Readonly<Record<string, unknown>>
  ) => Effect.suspend(() => this.run("query", bindings, queryOn<Results>(this.opened.session, sql, bindings)))

  readonly use: Connection["use"] = (f) =>
    Effect.suspend(() => {
      const { ledger, session } = this.opened
      return this.run("use", undefined, async () => {
        ledger.using++
        try {
          return await f(session)
        } finally {
          ledger.using--
        }
      })
    })

  readonly transaction: Connection["transaction"] = (f) =>
    Effect.uninterruptibleMask((restore) => {
      const { session } = this.opened
      // A begin that is given up is written down when it is answered, and the pool cancels the transaction.
      const begin = restore(this.run("begin", undefined, () => session.beginTransaction()))
      return Effect.flatMap(begin, (transaction) =>
        Effect.matchCauseEffect(restore(f(this.inTransaction(transaction))), {
          onSuccess: (result) => Effect.as(restore(this.run("commit", undefined, () => transaction.commit())), result),
          onFailure: (cause) => {
            // Asked for and not waited for: whoever failed or was interrupted has nothing to gain. The pool waits.
            void Promise.resolve()
              .then(() => transaction.cancel())
              .catch(noop)
            return Effect.failCause(cause)
          }
        })
      )
    })

  /** From now on its statements run in another session. */
  swap(opened: Opened): void {
    this.former.add(this.opened)
    this.opened = opened
    opened.ledger.onExpiry = () => this.lose()
  }

  onLost(listener: () => void): () => void {
    if (this.isLost) listener()
    else this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  lose(): void {
    if (this.isLost) return
    this.isLost = true
    this.leaveHandle()
    const listeners = [...this.listeners]
    this.listeners.clear()
    for (const listener of listeners) listener()
  }

  /**
   * A promise of the SDK, which may never settle: it does not when the SDK itself has closed the socket. So it fails when the
   * connection is gone.
   */
  run<A>(operation: string, values: unknown, f: () => PromiseLike<A>): Effect.Effect<A, SurrealDbError> {
    return Effect.callback<A, SurrealDbError>((resume) => {
      const forget = this.onLost(() => resume(Effect.fail(closed(operation))))
      if (this.isLost) return
      Promise.resolve()
        .then(f)
        .then(
          (result) => {
            forget()
            resume(Effect.succeed(result))
          },
          (error: unknown) => {
            forget()
            resume(Effect.fail(fromDriver(operation, error, values)))
          }
        )
      return Effect.sync(forget)
    })
  }

  private inTransaction(transaction: SurrealTransaction): Queryable<SurrealTransaction> {
    return {
      query: <Results extends ReadonlyArray<unknown>>(sql: string, bindings?: Readonly<Record<string, unknown>>) =>
        this.run("query", bindings, queryOn<Results>(transaction, sql, bindings)),
      use: (f) => this.run("use", undefined, () => f(transaction))
    }
  }
}

const liveOf = (connection: Connection): Live => connection as Live

/** Statements that fail take the others of their transaction along: the first that says anything else is the reason. */
const queryOn =
  <Results extends ReadonlyArray<unknown>>(
    queryable: SurrealQueryable,
    sql: string,
    bindings: Readonly<Record<string, unknown>> | undefined
  ) =>
  async (): Promise<Results> => {
    const answers = await queryable.query(sql, bindings === undefined ? undefined : { ...bindings }).responses()
    const failed = answers.flatMap((answer) => (answer.success ? [] : [answer.error]))
    if (failed.length > 0) {
      const isAlong = (error: Error): boolean => "isNotExecuted" in error && error.isNotExecuted === true
      throw failed.find((error) => !isAlong(error)) ?? failed[0]
    }
    return answers.map((answer) => (answer.success ? answer.result : undefined)) as unknown as Results
  }

/** Opens a session. Whoever gets it is told in the same step in which it is there: none is lost to an interruption in between. */
const openOn = (
  handle: Handle,
  openSession: OpenSession,
  got: (opened: Opened) => void
): Effect.Effect<void, SurrealDbError> =>
  Effect.flatMap(runInContext, (run) =>
    Effect.callback((resume) => {
      let isWanted = true
      const forget = handle.onLost(() => resume(Effect.fail(closed("session"))))
      if (handle.isLost) return
      openSession(handle, run).then(
        (session) => {
          forget()
          const opened = own(handle, session)
          if (!isWanted) return void end(handle, opened)
          got(opened)
          resume(Effect.void)
        },
        (error: unknown) => {
          forget()
          resume(Effect.fail(fromDriver("session", error)))
        }
      )
      return Effect.sync(() => {
        isWanted = false
        forget()
      })
    })
  )

/**
 * Ends a session with everything that it has left: the server keeps its transactions and live queries when it only goes.
 * Failures say that something had ended before.
 */
const end = async (handle: Handle, opened: Opened): Promise<void> => {
  await empty(handle, opened)
  await leave(handle, opened)
}

/** Takes away what the server keeps when only the session goes. */
const empty = async (handle: Handle, { forks, ledger }: Opened): Promise<void> => {
  ledger.isEnded = true
  await Promise.all([handle.takeAway(ledger), ...forks.map((fork) => end(handle, fork))])
}

/** The server answers these when nothing runs in the session any more. */
const leave = async (handle: Handle, { session }: Opened): Promise<void> => {
  // The SDK renews the token of a session for as long as it has one, also when the session is gone.
  if (session.isValid && session.accessToken !== undefined) await session.invalidate().catch(noop)
  if (session.isValid) await session.closeSession().catch(noop)
  handle.forget(session.session)
}

/** Makes a connection on an open handle. `close` ends it with the scope. */
export const connectOn = (
  handle: Handle,
  openSession: OpenSession,
  close: (connection: Connection) => Effect.Effect<void>
): Effect.Effect<Connection, SurrealDbError, Scope.Scope> =>
  Effect.suspend(() => {
    let live: Live | undefined = undefined
    // Registered first: a session may arrive when nobody waits for it any more.
    const closing = Effect.addFinalizer(() => Effect.suspend(() => (live === undefined ? Effect.void : close(live))))
    const opening = openOn(handle, openSession, (opened) => {
      live = new Live(handle, openSession, opened)
    })
    return Effect.andThen(
      closing,
      Effect.map(opening, () => live!)
    )
  })

export const isBroken = (connection: Connection): boolean => {
  const { handle, isLost, opened } = liveOf(connection)
  return isLost || handle.isLost || !opened.session.isValid
}

/** Whether its borrower has left nothing behind. */
export const isClean = (connection: Connection): boolean => liveOf(connection).opened.ledger.isClean

/** One round trip, in the session itself: it may have expired. */
export const check = (connection: Connection): Effect.Effect<unknown, SurrealDbError> => connection.query("RETURN true")

/**
 * Gives the connection a new session and ends the old one. Whatever a borrower still does with the old one fails, and nothing that
 * was running there is seen from the new one.
 */
export const reset = (connection: Connection): Effect.Effect<void, SurrealDbError> =>
  Effect.suspend(() => {
    const live = liveOf(connection)
    return Effect.andThen(
      openOn(live.handle, live.openSession, (opened) => live.swap(opened)),
      live.run("reset", undefined, () => endFormer(live))
    )
  })

/**
 * Ends the sessions that a connection had. One in which a statement still runs, which nobody can cancel, is empty when this is
 * done, and goes when the statement has ended.
 */
const endFormer = ({ former, handle }: Live): Promise<unknown> =>
  Promise.all(
    [...former].map(async (opened) => {
      const isBusy = opened.ledger.running > 0
      await empty(handle, opened)
      const leaving = leave(handle, opened).then(() => former.delete(opened))
      if (!isBusy) await leaving
    })
  )

export const closedSignal = (connection: Connection): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const forget = liveOf(connection).onLost(() => resume(Effect.void))
    return Effect.sync(forget)
  })

/**
 * Ends its sessions. A server that does not answer this has no more to say to anybody, and the whole handle is given up: unless
 * it still runs a statement of the session, and answers others meanwhile.
 */
export const endSession = (connection: Connection): Effect.Effect<void> =>
  Effect.suspend(() => {
    const live = liveOf(connection)
    const { former, handle, opened } = live
    if (handle.isLost) return Effect.sync(() => live.lose())
    const isBusy = opened.ledger.running > 0 || former.size > 0
    let answers = false
    if (isBusy) {
      void Promise.resolve()
        .then(() => handle.surreal!.version())
        .then(() => {
          answers = true
        }, noop)
    }
    const ending = Effect.callback<void>((resume) => {
      const done = (): void => resume(Effect.void)
      handle.onLost(done)
      Promise.all([...former, opened].map((one) => end(handle, one))).then(done, done)
    })
    return Effect.flatMap(Effect.timeoutOption(ending, patience), (ended) =>
      Effect.sync(() => {
        if (ended._tag === "None" && !answers) handle.destroy()
        live.lose()
      })
    )
  })

/** The end of a connection that has its socket for itself: what goes with the socket needs no goodbye of its own. */
export const leaveSession = (connection: Connection): Effect.Effect<void> =>
  Effect.suspend(() => {
    const live = liveOf(connection)
    const isLeft = [live.opened, ...live.former].some(
      ({ ledger }) => ledger.transactions.size > 0 || ledger.liveQueries.size > 0
    )
    return isLeft ? endSession(connection) : Effect.sync(() => live.lose())
  })

/** Gives up the socket of a connection that has it for itself. */
export const destroy = (connection: Connection): void => liveOf(connection).handle.destroy()
