/**
 * What must hold between any two transitions, whatever they are. The tests, the simulation and `ConnectionPool.audit` ask
 * the same question.
 */
import type { Connection } from "./Connection.ts"
import type { Engine } from "./Engine.ts"
import { uncoveredWaiters } from "./Planner.ts"
import type { Waiter } from "./Waiters.ts"

const nothing: ReadonlyArray<string> = []

/** What contradicts the pool's promises, one sentence each; empty when all is well. O(connections + waiters). */
export const audit = <A>(engine: Engine<A>, now: number): ReadonlyArray<string> => {
  const report = new Contradictions()
  auditCounts(engine, report)
  auditIdle(engine, report)
  auditWaiters(engine, report)
  auditWaiting(engine, now, report)
  return report.sentences ?? nothing
}

/** Sentences are made only for what is wrong: an audit follows every step of a simulation. */
class Contradictions {
  sentences: Array<string> | undefined = undefined

  add(sentence: string): void {
    this.sentences ??= []
    this.sentences.push(sentence)
  }
}

const auditCounts = <A>(engine: Engine<A>, report: Contradictions): void => {
  const found = { idle: 0, inUse: 0, connecting: 0, checking: 0, resetting: 0, closing: 0, closed: 0 }
  let open = 0
  for (const { id, lease, openedAt, state } of engine.connections) {
    found[state]++
    if (openedAt !== undefined) open++
    if (lease > 0 !== (state === "inUse")) report.add(`connection ${id} is ${state} and has lease ${lease}`)
  }
  const { checking, closing, connecting, counters, idle, inUse, resetting, total } = engine
  const count = (state: keyof typeof found, counted: number): void => {
    if (counted !== found[state]) report.add(`${state} counts ${counted}, but ${found[state]} are ${state}`)
  }
  count("idle", idle.length)
  count("inUse", inUse)
  count("connecting", connecting)
  count("checking", checking)
  count("resetting", resetting)
  count("closing", closing)
  count("closed", 0)
  const sum = idle.length + inUse + connecting + checking + resetting + closing
  if (sum !== total) report.add(`the states add up to ${sum}, and the total is ${total}`)
  if (total > engine.limit) report.add(`${total} connections are more than the limit of ${engine.limit}`)
  if (counters.acquired - counters.released !== inUse) {
    report.add(`${counters.acquired} leases less ${counters.released} released are not the ${inUse} in use`)
  }
  if (counters.created - counters.closed !== open) {
    report.add(`${counters.created} opened less ${counters.closed} closed are not the ${open} that are open`)
  }
  for (const name in counters) {
    if (counters[name as keyof typeof counters] < 0) report.add(`${name} is negative`)
  }
}

const auditIdle = <A>({ idle }: Engine<A>, report: Contradictions): void => {
  let length = 0
  let warmer: Connection<A> | undefined = undefined
  for (let connection = idle.warmest; connection !== undefined; connection = connection.colder) {
    if (connection.state !== "idle") report.add(`connection ${connection.id} rests, but is ${connection.state}`)
    if (connection.warmer !== warmer) report.add(`connection ${connection.id} is linked to one side only`)
    warmer = connection
    length++
  }
  if (idle.coldest !== warmer) report.add("the coldest connection is not the end of the idle list")
  if (idle.length !== length) report.add(`${length} connections rest, but ${idle.length} are counted`)
}

const auditWaiters = <A>({ waiters }: Engine<A>, report: Contradictions): void => {
  let length = 0
  let ahead: Waiter<A> | undefined = undefined
  for (let waiter = waiters.first; waiter !== undefined; waiter = waiter.behind) {
    if (waiter.state !== "waiting") report.add(`a waiter in line is ${waiter.state}`)
    if (waiter.ahead !== ahead) report.add("a waiter is linked to one side only")
    if (ahead !== undefined && ahead.deadline > waiter.deadline) report.add("a waiter stands before an earlier one")
    ahead = waiter
    length++
  }
  if (waiters.last !== ahead) report.add("the last waiter is not the end of the line")
  if (waiters.length !== length) report.add(`${length} wait, but ${waiters.length} are counted`)
}

/** While someone waits, no connection that could be lent rests, and all that may be done for them is being done. */
const auditWaiting = <A>(engine: Engine<A>, now: number, report: Contradictions): void => {
  const { connecting, doubt, idle, limit, maxConnecting, outage, total, waiting } = engine
  if (waiting === 0) return
  for (let connection = idle.warmest; connection !== undefined; connection = connection.colder) {
    const isFresh = connection.proof === doubt && now < connection.freshUntil
    if (isFresh) report.add(`connection ${connection.id} rests beside a waiter`)
  }
  const isLimited = total === limit || connecting >= maxConnecting || outage !== undefined
  if (!isLimited && uncoveredWaiters(engine) > 0) report.add("a waiter waits for a connection that nobody opens")
}
