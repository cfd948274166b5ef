/** The facts that the engine has noted, as events for those who read them. Nobody who reads is waited for. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Stream from "effect/Stream"
import { detailOf, type Fact } from "../engine/FlightRecorder.ts"
import type { PoolEvent } from "../PoolEvent.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

/** Everything that is still known, oldest first. */
export const recentEvents = <A>(runtime: PoolRuntime<A>): ReadonlyArray<PoolEvent> => eventsAfter(runtime, 0)

/**
 * What happens from now on, up to the end of the pool. A reader has a place in the flight recorder and nothing else: it
 * costs the pool one call when it has caught up, and one that falls behind is told how much it missed.
 */
export const events = <A>(runtime: PoolRuntime<A>): Stream.Stream<PoolEvent> =>
  Stream.fromPull(
    Effect.sync(() => {
      const { recorder } = runtime.engine.ledger
      let read = recorder.last
      return Effect.suspend(function next(): Effect.Effect<readonly [PoolEvent, ...Array<PoolEvent>], Cause.Done> {
        const found = eventsAfter(runtime, read, true)
        read = recorder.last
        if (isReadonlyArrayNonEmpty(found)) return Effect.succeed(found as readonly [PoolEvent, ...Array<PoolEvent>])
        if (runtime.engine.ledger.state === "closed") return Cause.done()
        return Effect.andThen(runtime.readers.newsAfter(read), Effect.suspend(next))
      })
    })
  )

/** Everything that is still known after a fact, each with its number. */
export const eventsSince = <A>(runtime: PoolRuntime<A>, sequence: number) => {
  const { recorder } = runtime.engine.ledger
  const { facts, missed } = recorder.since(sequence)
  const toWallTime = wallTimeOf(runtime)
  const events = facts.flatMap((fact) =>
    eventsOf(fact, toWallTime).map((event) => ({ sequence: fact.sequence, event }))
  )
  // At the beginning nobody has missed anything.
  return { events, missed: sequence === 0 ? 0 : missed, last: recorder.last }
}

const wallTimeOf = <A>(runtime: PoolRuntime<A>): number => runtime.clock.currentTimeMillisUnsafe() - runtime.now()

const eventsAfter = <A>(runtime: PoolRuntime<A>, sequence: number, saysMissed = false): ReadonlyArray<PoolEvent> => {
  const { facts, missed } = runtime.engine.ledger.recorder.since(sequence)
  if (facts.length === 0) return []
  const toWallTime = wallTimeOf(runtime)
  const events: Array<PoolEvent> = []
  if (saysMissed && missed > 0) {
    events.push({ _tag: "EventsMissed", at: facts[0]!.at + toWallTime, count: missed })
  }
  for (const fact of facts) events.push(...eventsOf(fact, toWallTime))
  return events
}

const eventsOf = (fact: Fact, toWallTime: number): ReadonlyArray<PoolEvent> => {
  const at = fact.at + toWallTime
  const event = eventOf(fact, at)
  // A lease without a wait is one fact and two events.
  return fact.name === "Lent" ? [{ _tag: "AcquireStarted", at, acquire: fact.acquire }, event] : [event]
}

const eventOf = (fact: Fact, at: number): PoolEvent => {
  const { acquire, connection, duration, lease, name } = fact
  switch (name) {
    case "PoolCreated":
    case "PoolResized":
      return { _tag: name, at, minConnections: acquire, maxConnections: lease }
    case "PoolWarming":
      return { _tag: name, at, open: acquire, minConnections: lease }
    case "PoolReady":
    case "PoolUnavailable":
    case "PoolResumed":
    case "PoolClosed":
      return { _tag: name, at }
    case "PoolPaused":
      return { _tag: name, at, acquires: fact.detail === 1 ? "fail" : "wait" }
    case "PoolCleared":
      return { _tag: name, at, generation: acquire, interrupt: fact.detail === 1 }
    case "PoolDraining":
      return { _tag: name, at, leases: lease }
    case "ConnectionCreated":
      return { _tag: name, at, connection }
    case "ConnectionReady":
      return { _tag: name, at, connection, duration }
    case "ConnectFailed": {
      const message = fact.text === undefined ? {} : { message: fact.text }
      return { _tag: name, at, connection, kind: detailOf(fact, name), duration, ...message }
    }
    case "BackoffStarted":
      return { _tag: name, at, attempts: acquire, duration }
    case "ConnectionChecked":
      return { _tag: name, at, connection, isAlive: fact.detail === 1, duration }
    case "ConnectionReset":
      return { _tag: name, at, connection, isDone: fact.detail === 1, duration }
    case "ConnectionClosed":
      return {
        _tag: name,
        at,
        connection,
        reason: detailOf(fact, name),
        duration,
        uses: acquire,
        isAbandoned: lease === 1
      }
    case "AcquireStarted":
      return { _tag: name, at, acquire }
    case "Acquired":
    case "Lent":
      return { _tag: "Acquired", at, acquire, lease, connection, waited: duration }
    case "AcquireFailed":
      return { _tag: name, at, acquire, reason: detailOf(fact, name), waited: duration }
    case "Released":
      return { _tag: name, at, lease, connection, end: detailOf(fact, name), held: duration }
    case "SizingDecision":
      return { _tag: name, at, from: acquire, to: lease, reason: fact.text ?? "" }
    case "SizingIgnored":
      return { _tag: name, at, reason: fact.text ?? "" }
    case "LimitChanged":
      return { _tag: name, at, limit: lease, reason: fact.text ?? "" }
    case "LeakSuspected":
      return { _tag: name, at, lease, connection, held: duration, holder: fact.text ?? "an unknown fiber" }
    case "LeakReturned":
      return { _tag: name, at, lease, connection, held: duration }
    case "OperatorAction":
      return { _tag: name, at, ...operatorAction(fact.text) }
    case "NestedAcquire":
      return { _tag: name, at, acquire, lease, connection }
  }
}

/** One text keeps both: who, and on the lines after it, what. */
const operatorAction = (text = "") => {
  const [actor = "", ...action] = text.split("\n")
  return { actor, action: action.join(" ") }
}

/** Those who have read everything and wait for more. They are woken in a later turn, never by the step that is being noted. */
export class Readers<A> {
  private readonly runtime: PoolRuntime<A>
  private latch: Latch.Latch | undefined = undefined

  constructor(runtime: PoolRuntime<A>) {
    this.runtime = runtime
  }

  /** Waits for a fact later than this one. Asked in the reader's step: what was noted since it has read is not missed. */
  newsAfter(sequence: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.runtime.engine.ledger.recorder.last > sequence) return Effect.void
      this.latch ??= this.listen()
      return this.latch.await
    })
  }

  private listen(): Latch.Latch {
    const latch = Latch.makeUnsafe(false)
    this.runtime.engine.ledger.recorder.onFact = () =>
      this.runtime.later(() => {
        this.latch = undefined
        latch.openUnsafe()
      })
    return latch
  }
}
