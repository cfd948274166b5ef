/**
 * What is done to one connection: connect, check, reset, close. Each runs on a fiber of its own under a timeout of its
 * own, and begins in a later turn of the event loop, so that no borrower pays for any part of it.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { CloseReason, Connection } from "../engine/Connection.ts"
import { ConnectError } from "../PoolError.ts"
import { failureOf } from "./Failures.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import type { Resource } from "./Resource.ts"

type Pooled<A> = Connection<Resource<A>>

/**
 * Runs work on a connection and waits for it no longer than `timeout`. Work that is past its time keeps running, since it
 * may not be interruptible; it stays in `resource.work`, and the close that follows ends it. Running out of time is a
 * defect and not a failure: the connector's classifier is asked about its failures, and this is none of them.
 */
const bounded = Effect.fnUntraced(function* <A, X, E>(
  runtime: PoolRuntime<A>,
  resource: Resource<A>,
  work: Effect.Effect<X, E>,
  timeout: Duration.Duration
) {
  // Started and noted in one step: a close in between would not know what to end.
  const fiber = yield* Effect.sync(() => {
    const fiber = runtime.forkUnowned(work)
    resource.work = fiber
    return fiber
  })
  const exit = yield* Effect.timeoutOption(Fiber.await(fiber), timeout)
  if (Option.isSome(exit)) resource.work = undefined
  return Option.getOrElse(exit, () => Exit.die(new Cause.TimeoutError(`no answer within ${Duration.format(timeout)}`)))
})

export const connect = Effect.fnUntraced(function* <A>(runtime: PoolRuntime<A>, connection: Pooled<A>) {
  yield* Effect.yieldNow
  if (connection.state !== "connecting") return
  const { config, connector, engine } = runtime
  const { resource } = connection
  const exit = yield* bounded(runtime, resource, connector.connect(resource.scope), config.connectTimeout)
  if (connection.state !== "connecting") return
  if (Exit.isSuccess(exit)) {
    resource.settle(exit.value)
    runtime.remember(connection, exit.value)
    if (connector.closed !== undefined) resource.watcher = runtime.fork(watch(runtime, connection))
    runtime.failures.clear()
    runtime.transition(() => engine.opened(connection, runtime.now()))
    runtime.debug(`opened connection ${connection.id}`, () => ({
      connection: connection.id,
      duration: millisBetween(connection.createdAt, connection.openedAt ?? connection.createdAt)
    }))
    Deferred.doneUnsafe(runtime.firstConnect, Exit.void)
  } else {
    const failure = failureOf(connector, exit.cause, runtime.clock.currentTimeMillisUnsafe())
    const { cause, kind, message } = failure
    runtime.failures.note(failure)
    runtime.transition(() => engine.openFailed(connection, kind, runtime.now(), message))
    Deferred.doneUnsafe(
      runtime.firstConnect,
      Exit.fail(new ConnectError({ pool: runtime.name, kind, reason: message, cause }))
    )
  }
})

/** Waits for the connection to end by itself. */
const watch = Effect.fnUntraced(function* <A>(runtime: PoolRuntime<A>, connection: Pooled<A>) {
  yield* Effect.yieldNow
  const exit = yield* Effect.exit(runtime.connector.closed!(connection.resource.value))
  if (Exit.isFailure(exit) && !Cause.hasFails(exit.cause)) {
    // A watcher that breaks tells nothing about its connection; the checks go on without it.
    if (Cause.hasDies(exit.cause)) {
      runtime.log("Warn", `cannot watch connection ${connection.id}`, { connection: connection.id }, exit.cause)
    }
    return
  }
  runtime.transition(() => runtime.engine.died(connection, runtime.now()))
})

export const check = Effect.fnUntraced(function* <A>(runtime: PoolRuntime<A>, connection: Pooled<A>) {
  yield* Effect.yieldNow
  if (connection.state !== "checking") return
  const { config, connector, engine } = runtime
  const { resource } = connection
  const exit = yield* bounded(runtime, resource, connector.check!(resource.value), config.checkTimeout)
  if (connection.state !== "checking") return
  if (Exit.isFailure(exit)) {
    runtime.debug(`connection ${connection.id} failed its check`, () => ({ connection: connection.id }), exit.cause)
  }
  runtime.transition(() => engine.checked(connection, Exit.isSuccess(exit), runtime.now()))
})

export const reset = Effect.fnUntraced(function* <A>(runtime: PoolRuntime<A>, connection: Pooled<A>) {
  yield* Effect.yieldNow
  if (connection.state !== "resetting") return
  const { config, connector, engine } = runtime
  const { resource } = connection
  const exit = yield* bounded(runtime, resource, connector.reset!(resource.value), config.resetTimeout)
  if (connection.state !== "resetting") return
  if (Exit.isFailure(exit)) {
    runtime.debug(`connection ${connection.id} could not be reset`, () => ({ connection: connection.id }), exit.cause)
  }
  runtime.transition(() => engine.resetDone(connection, Exit.isSuccess(exit), runtime.now()))
})

/**
 * Ends whatever runs on the connection and closes its scope. After `closeTimeout` the connection stops counting, so that
 * a finalizer that hangs cannot hold its place for ever; it goes on by itself, and the log says so.
 */
export const closeConnection = Effect.fnUntraced(function* <A>(
  runtime: PoolRuntime<A>,
  connection: Pooled<A>,
  reason: CloseReason
) {
  yield* Effect.yieldNow
  const { closeTimeout } = runtime.config
  const { resource } = connection
  resource.watcher?.interruptUnsafe()
  const ending = runtime.forkUnowned(
    Effect.flatMap(endWork(resource, closeTimeout), (isOver) =>
      Effect.as(Scope.close(resource.scope, Exit.void), isOver)
    )
  )
  const exit = yield* Effect.timeoutOption(Fiber.await(ending), closeTimeout)
  // Work that does not end is not over, even where there was nothing else to close.
  const isAbandoned = Option.isNone(exit) || (Exit.isSuccess(exit.value) && !exit.value.value)
  reportClose(runtime, connection, reason, isAbandoned ? Option.none() : exit)
  runtime.forget(connection)
  runtime.transition(() => runtime.engine.closed(connection, runtime.now(), isAbandoned))
})

const reportClose = <A>(
  runtime: PoolRuntime<A>,
  { id, workSince }: Pooled<A>,
  reason: CloseReason,
  exit: Option.Option<Exit.Exit<unknown, unknown>>
): void => {
  const facts = () => ({ connection: id, reason, duration: millisBetween(workSince, runtime.now()) })
  if (Option.isNone(exit)) {
    const within = Duration.format(runtime.config.closeTimeout)
    const text = `did not close within ${within}; it no longer counts, and the server may still have it`
    runtime.log("Warn", `connection ${id} (${reason}) ${text}`, facts())
  } else if (Exit.isFailure(exit.value)) {
    runtime.log("Warn", `the finalizer of connection ${id} (${reason}) failed`, facts(), exit.value.cause)
  } else runtime.debug(`closed connection ${id} (${reason})`, facts)
}

const millisBetween = (from: number, to: number): string => `${Math.round(to - from)} ms`

/**
 * Interrupts the work on a connection, and gives it some time: what it still opens belongs to the scope closed next. Whether it has
 * ended.
 */
const endWork = <A>({ work }: Resource<A>, timeout: Duration.Duration): Effect.Effect<boolean> =>
  work === undefined
    ? Effect.succeed(true)
    : Effect.suspend(() => {
        work.interruptUnsafe()
        return Effect.map(Effect.timeoutOption(Fiber.await(work), timeout), Option.isSome)
      })
