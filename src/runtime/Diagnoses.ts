/** What is the matter with a pool, in words: the engine's finding, what shows it, and what to do about it. */
import * as Duration from "effect/Duration"
import { diagnose, type Evidence } from "../engine/Diagnosis.ts"
import type { Waiter } from "../engine/Waiters.ts"
import type { Diagnosis, DiagnosisKind, Holder } from "../PoolError.ts"
import type { OperationStatus } from "../PoolReport.ts"
import { hasEnded, holderOf } from "./HolderNames.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { recentAdvice } from "./SizeAdvice.ts"
import type { Resource } from "./Resource.ts"

/** What the words are made of. */
interface Subject<A> {
  readonly runtime: PoolRuntime<A>
  readonly evidence: Evidence
  readonly oldest: Holder | undefined
  readonly hasOldestEnded: boolean
  readonly operation: OperationStatus | undefined
  readonly operations: ReadonlyArray<OperationStatus>
}

/** A finding, and those who hold connections, the oldest first. */
export interface Finding {
  readonly diagnosis: Diagnosis
  readonly holders: ReadonlyArray<Holder>
  readonly operations: ReadonlyArray<OperationStatus>
}

/** So many holders are named. */
const holdersNamed = 3

/** A storm of timeouts asks for each of them: what was found a moment ago is found again. */
const lastsFor = 100

const last = new WeakMap<object, { readonly at: number; readonly finding: Finding }>()

/** What is the matter now; `waiter` if that is asked for somebody who has run out of time. */
export const findingOf = <A>(runtime: PoolRuntime<A>, waiter?: Waiter<Resource<A>>): Finding => {
  const now = runtime.now()
  const known = last.get(runtime)
  // Whoever holds a connection himself has a reason of his own.
  const isCommon = waiter === undefined || waiter.held.length === 0
  if (waiter !== undefined && isCommon && known !== undefined && now - known.at < lastsFor) return known.finding
  const finding = find(runtime, waiter, now)
  if (waiter !== undefined && isCommon) last.set(runtime, { at: now, finding })
  return finding
}

const find = <A>(runtime: PoolRuntime<A>, waiter: Waiter<Resource<A>> | undefined, now: number): Finding => {
  const { ledger } = runtime.engine
  // It should have been told at its deadline.
  const lateBy = Math.max(runtime.lateBy(now), waiter === undefined ? 0 : now - waiter.deadline)
  const evidence = diagnose(ledger, { lateBy, waiter, isRefused: isRefused(runtime) }, now)
  const leases = ledger.leases.oldestFirst()
  const holders = leases.slice(0, holdersNamed).map((lease) => holderOf(lease, now, ledger.leaks.suspected))
  const operations = runtime.operations.read(ledger, now)
  const subject: Subject<A> = {
    runtime,
    evidence,
    oldest: holders[0],
    hasOldestEnded: leases[0] !== undefined && hasEnded(leases[0].holder),
    operation: operations.find(({ leases }) => leases > 0),
    operations
  }
  return { diagnosis: { kind: evidence.kind, ...words[evidence.kind](subject) }, holders, operations }
}

const isRefused = <A>({ failures }: PoolRuntime<A>): boolean => failures.last?.kind === "overloaded"

type Words = Omit<Diagnosis, "kind">

const numbers = <A>({ runtime }: Subject<A>): string => {
  const { connecting, idle, inUse, limit, waiting } = runtime.engine.ledger
  return `${inUse} of ${limit} connections in use, ${idle.length} idle, ${connecting} connecting, ${waiting} waiting`
}

export const millis = (duration: number): string => {
  if (duration < 10) return `${Number(duration.toFixed(1))} ms`
  if (duration < 1000) return `${Math.round(duration)} ms`
  if (duration < 60_000) return `${(duration / 1000).toFixed(1)} s`
  return Duration.format(Duration.seconds(Math.round(duration / 1000)))
}

const percent = (share: number): string => `${Math.round(share * 100)} %`

const nameOf = ({ holder, path, place }: Holder): string =>
  `${path ?? holder}${place === undefined ? "" : ` (${place})`}`

const waitingText = <A>({ evidence, runtime }: Subject<A>): string => {
  const { waiting } = runtime.engine.ledger
  return waiting === 0 ? "" : `, ${waiting} waiting, the oldest for ${millis(evidence.oldestWait)}`
}

const failureText = <A>({ runtime }: Subject<A>): string => {
  const { outage } = runtime.engine.ledger
  const { last } = runtime.failures
  const count = outage?.failures ?? 0
  const attempts = `${count} attempt${count === 1 ? "" : "s"} to connect failed`
  return last === undefined
    ? `${attempts}: connections end as soon as they are open`
    : `${attempts}, the last with: ${last.message}`
}

const asked = (who: string, until: string) => (): Words => ({ summary: who, advice: [until] })

const words: { readonly [Kind in DiagnosisKind]: <A>(subject: Subject<A>) => Words } = {
  healthy: (subject) => ({ summary: numbers(subject), advice: [] }),

  starting: () => ({
    summary: "no connection has opened yet, and no attempt has failed",
    advice: ["Wait: the first attempt to connect is running."]
  }),

  "cannot-connect": (subject) => {
    const { usable } = subject.runtime.engine.ledger
    const left =
      usable === 0 ? "no usable connection" : `${usable} usable connection${usable === 1 ? " is" : "s are"} left`
    return {
      summary: `${left}${waitingText(subject)}: ${failureText(subject)}`,
      advice: [
        subject.runtime.failures.last?.kind === "permanent"
          ? "Trying again will not help until somebody changes something: look at what the server says (credentials, database, certificate)."
          : "Check that the server is up and reachable from here: host, port, network.",
        "The pool goes on trying by itself. More connections would not help: leave maxConnections as it is."
      ]
    }
  },

  "server-refuses": (subject) => {
    const { limit, maxConnections, outage, total } = subject.runtime.engine.ledger
    const said = outage === undefined ? "" : `; ${failureText(subject)}`
    return {
      summary: `the server has no room for more: ${total} connections are open, and no more than ${limit} of ${maxConnections} are tried for now${waitingText(subject)}${said}`,
      advice: [
        "Lower maxConnections, so that it times the number of processes stays below the server's limit; or raise that limit.",
        "Count the processes of a rolling deployment twice: the old and the new run side by side."
      ]
    }
  },

  "connecting-slowly": (subject) => {
    const { checking, connecting, demand, options } = subject.runtime.engine.ledger
    const took = demand.connectTime > 0 ? `; a connect takes ${millis(demand.connectTime)}` : ""
    return {
      summary: `${connecting} connections are being opened and ${checking} checked${waitingText(subject)}${took} (connectTimeout ${millis(options.connectTimeout)})`,
      advice: [
        "Look at what a connect spends its time on: DNS, TLS, authentication.",
        "Raise minConnections, so that connections are open ahead of need."
      ]
    }
  },

  "self-deadlock": (subject) => {
    const { counters, leases } = subject.runtime.engine.ledger
    return {
      summary: `${leases.stuck} of ${leases.length} who hold a connection wait for another one of this pool; ${counters.deadlocked} acquires have failed for that so far`,
      advice: [
        "Acquire once and hand the connection down, or give it back before you acquire the next.",
        "A larger pool only makes it rarer: T fibers that hold C connections each need T * (C - 1) + 1."
      ]
    }
  },

  "leak-suspected": (subject) => {
    const { hasOldestEnded, oldest, runtime } = subject
    const { leaks, options } = runtime.engine.ledger
    const others = leaks.suspected.size - 1
    const more = others > 0 ? `, and ${others} more lease${others === 1 ? " is" : "s are"} older than that` : ""
    const who = oldest === undefined ? "somebody" : `${nameOf(oldest)} has held connection ${oldest.connection}`
    return {
      summary: `${who} for ${millis(subject.evidence.oldestAge)} (leakThreshold ${millis(options.leakThreshold)}${more})${waitingText(subject)}`,
      advice: [
        hasOldestEnded
          ? "Its fiber has ended: the scope it borrowed in is still open. Close that scope, or borrow in a shorter one."
          : "Look at what it does there: a call without a timeout, a scope that lives as long as the program.",
        ...(oldest?.operation === undefined
          ? ["Name operations with Effect.fn or Effect.withSpan, and the pool names them here."]
          : []),
        "The pool takes no connection from whoever has it; an operator may (evict, with interrupt)."
      ]
    }
  },

  "held-too-long": (subject) => {
    const { evidence, oldest, operation } = subject
    const { limit, options } = subject.runtime.engine.ledger
    const usual = evidence.usualHold === 0 ? "" : ` where ${millis(evidence.usualHold)} is usual`
    const rate =
      evidence.usualHold === 0 ? undefined : Math.floor((limit * options.concurrency * 1000) / evidence.usualHold)
    const name = operation?.operation ?? "whoever holds them"
    return {
      summary: `${holding(subject)} for up to ${millis(evidence.oldestAge)}${usual}${waitingText(subject)}`,
      advice: [
        `Look at ${name}${oldest?.place === undefined ? "" : ` (${oldest.place})`}: a slow query, or a connection held while something else is done.`,
        `Give it a pool of its own, or do it in smaller parts${rate === undefined ? "" : `: ${limit} connections serve ${rate} acquires a second at the usual ${millis(evidence.usualHold)}`}.`
      ]
    }
  },

  "under-provisioned": (subject) => {
    const { evidence, operation, runtime } = subject
    const { demand, limit } = runtime.engine.ledger
    const recommended = recentAdvice(runtime)?.maxConnections
    const size =
      recommended === undefined || recommended <= limit
        ? "More connections help only if the server can do more at a time: see the advisor."
        : `The advisor says ${recommended} connections; see that the server has room for them times the number of processes.`
    return {
      summary: `${Math.round(evidence.arrivalsPerSecond)} acquires a second of ${millis(demand.holdTime)} each keep ${evidence.load.toFixed(1)} of ${limit} connections busy${waitingText(subject)}`,
      advice: [
        operation === undefined
          ? "Make leases shorter first."
          : `Make leases shorter first: ${operation.operation} has ${percent(operation.share)} of the time connections are held.`,
        size
      ]
    }
  },

  burst: (subject) => ({
    summary: `more came at once than usual: ${numbers(subject)}${waitingText(subject) === "" ? "" : `, the oldest for ${millis(subject.evidence.oldestWait)}`}`,
    advice: [
      "Limit how many callers start at once, or let them wait a little longer (acquireTimeout).",
      "If it comes again and again, a higher minConnections has more open when it does."
    ]
  }),

  "event-loop-blocked": (subject) => ({
    summary: `the process was too busy to look at its timers for ${millis(subject.evidence.lateBy)}; ${numbers(subject)}`,
    advice: [
      "Profile the process (node --cpu-prof): something in it computes for long without a pause. The pool cannot help."
    ]
  }),

  paused: asked("nothing is lent until somebody resumes it", "Resume it when the maintenance is over."),
  draining: asked("borrowers may finish, and nothing is lent any more", "Send requests elsewhere: it will be closed."),
  closed: asked("closed", "Acquire inside the program that the pool's layer is provided to.")
}

/** `ReportService.export holds 8 of 10 connections`. */
const holding = <A>({ operation, runtime }: Subject<A>): string => {
  const { leases } = runtime.engine.ledger
  return operation === undefined
    ? `${leases.length} leases run`
    : `${operation.operation} holds ${operation.leases} of ${leases.length} leases`
}
