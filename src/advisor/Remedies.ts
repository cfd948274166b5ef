/** What would give a load the room that no maximum gives it: numbers for the words "hold for at most", "take at most", "a server with". */
import { waitOf, type Work } from "./ErlangC.ts"
import { largest, type Question, type Sizes, spare, waitGoal, workOf } from "./Sizes.ts"

/** Each by itself puts the pool within its targets: of utilization, and of the wait. */
export interface Remedies {
  /** The mean hold time that the ceiling carries. */
  readonly holdMillis: number
  /** The acquires a second that it carries. */
  readonly arrivalRate: number
  /** The connections that the load would need. */
  readonly connections: number
}

const halvings = 50

/** The largest part of the load, from 0 to 1, that is within the targets. Less load is never worse. */
const largestPart = (isWithin: (part: number) => boolean): number => {
  let within = 0
  let beyond = 1
  for (let i = 0; i < halvings; i++) {
    const part = (within + beyond) / 2
    if (isWithin(part)) within = part
    else beyond = part
  }
  return within
}

/** Where the load is beyond the ceiling's targets. */
export const remediesOf = (question: Question, sizes: Sizes): Remedies => {
  const leases = Math.min(sizes.ceiling * question.concurrency, largest)
  const work = workOf(sizes.load, sizes.hold)
  const isWithin = (less: Work): boolean =>
    less.load <= leases * question.targetUtilization && (waitOf(leases, less)?.p99 ?? Infinity) <= waitGoal(question)
  const ofHold = largestPart((part) =>
    isWithin({ ...work, load: work.load * part, meanHoldMillis: work.meanHoldMillis * part })
  )
  const ofArrivals = largestPart((part) => isWithin({ ...work, load: work.load * part }))
  return {
    holdMillis: work.meanHoldMillis * ofHold,
    arrivalRate: question.arrivalRate * ofArrivals,
    connections: Math.max(sizes.forLoad, sizes.forWait, spare)
  }
}
