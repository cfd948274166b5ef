/** What has happened in a pool, in words, on one line. */
import type { PoolEvent } from "../PoolEvent.ts"
import type { Line, Style } from "./Line.ts"
import { fit, plain } from "./PlainText.ts"
import { count, instantOf, millis, phrase } from "./Words.ts"

/** Connections that end for these reasons did not work. */
const badEnds: ReadonlySet<string> = new Set([
  "connectFailed",
  "checkFailed",
  "resetFailed",
  "died",
  "broken",
  "suspect"
])

/** Whether somebody should look at it. */
export const isTrouble = (event: PoolEvent): boolean => {
  switch (event._tag) {
    case "AcquireFailed":
    case "ConnectFailed":
    case "EventsMissed":
    case "LeakSuspected":
    case "NestedAcquire":
    case "PoolUnavailable":
    case "SizingIgnored":
      return true
    case "ConnectionChecked":
      return !event.isAlive
    case "ConnectionReset":
      return !event.isDone
    case "ConnectionClosed":
      return badEnds.has(event.reason)
    default:
      return false
  }
}

const limits = ({ maxConnections, minConnections }: { minConnections: number; maxConnections: number }): string =>
  `${minConnections} to ${count(maxConnections, "connection")}`

/** The fact as a sentence, without its time. */
export const eventWords = (event: PoolEvent): string => plain(wordsOf(event))

const wordsOf = (event: PoolEvent): string => {
  switch (event._tag) {
    case "PoolCreated":
      return `pool made, ${limits(event)}`
    case "PoolReady":
      return "pool ready: connections are lent"
    case "PoolWarming":
      return `pool warming up: ${event.open} of at least ${event.minConnections} open`
    case "PoolUnavailable":
      return "pool unavailable: acquires fail until a connection opens"
    case "PoolPaused":
      return `pool paused: acquires ${event.acquires}`
    case "PoolResumed":
      return "pool resumed"
    case "PoolResized":
      return `pool resized: ${limits(event)}`
    case "PoolCleared":
      return `all earlier connections are being replaced${event.interrupt ? ", lent ones too" : ""}`
    case "PoolDraining":
      return `pool draining, ${count(event.leases, "lease")} running`
    case "PoolClosed":
      return "pool closed"
    case "BackoffStarted":
      return `next attempt to connect in ${millis(event.duration)} (${count(event.attempts, "attempt")} failed)`
    case "AcquireStarted":
      return `acquire ${event.acquire} started`
    case "Acquired":
      return `acquire ${event.acquire} got connection ${event.connection} as lease ${event.lease} after ${millis(event.waited)}`
    case "AcquireFailed":
      return `acquire ${event.acquire} failed after ${millis(event.waited)}: ${phrase(event.reason)}`
    case "SizingDecision":
      return `sizing: ${event.from} to ${count(event.to, "connection")}: ${event.reason}`
    case "SizingIgnored":
      return `sizing policy not followed: ${event.reason}`
    case "LimitChanged":
      return `room for ${count(event.limit, "connection")} now: ${event.reason}`
    case "OperatorAction":
      return `${event.actor}: ${event.action}`
    case "EventsMissed":
      return `${count(event.count, "earlier event is", "earlier events are")} gone`
    default:
      return connectionWords(event)
  }
}

type ConnectionEvent = Extract<PoolEvent, { readonly connection: number }>

const connectionWords = (event: Exclude<ConnectionEvent, { readonly _tag: "Acquired" }>): string => {
  const which = `connection ${event.connection}`
  switch (event._tag) {
    case "ConnectionCreated":
      return `${which} connecting`
    case "ConnectionReady":
      return `${which} ready after ${millis(event.duration)}`
    case "ConnectFailed":
      return `${which} failed to connect after ${millis(event.duration)} (${event.kind})${
        event.message === undefined ? "" : `: ${event.message}`
      }`
    case "ConnectionChecked":
      return `${which} checked in ${millis(event.duration)}: ${event.isAlive ? "alive" : "not alive"}`
    case "ConnectionReset":
      return `${which} ${event.isDone ? "reset" : "could not be reset"} in ${millis(event.duration)}`
    case "ConnectionClosed":
      return `${which} closed after ${count(event.uses, "use")}: ${phrase(event.reason)}${
        event.isAbandoned ? `; its finalizer still runs after ${millis(event.duration)}` : ""
      }`
    case "Released":
      return `lease ${event.lease} of ${which} returned ${event.end} after ${millis(event.held)}`
    case "NestedAcquire":
      return `acquire ${event.acquire} waits while its own fiber holds ${which} (lease ${event.lease})`
    case "LeakSuspected":
      return `a leak? ${which} held for ${millis(event.held)} by ${event.holder} (lease ${event.lease})`
    case "LeakReturned":
      return `${which} came back after all, held for ${millis(event.held)} (lease ${event.lease})`
  }
}

/** Its time, a mark if somebody should look, and the words. */
export const eventLine = (event: PoolEvent, { zone }: Pick<Style, "zone">): Line => {
  const time = ["dim", fit(instantOf(event.at, zone), 24)] as const
  return isTrouble(event) ? [time, ["bad", "! "], ["bad", eventWords(event)]] : [time, "  ", eventWords(event)]
}
