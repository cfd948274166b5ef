/** What the sizes mean, in the words of an operator: numbers first, and no sentence that says nothing. */
import { remediesOf } from "./Remedies.ts"
import {
  certainEnough,
  type Limit,
  largest,
  type Need,
  type Question,
  serverGives,
  type Sizes,
  waitGoal
} from "./Sizes.ts"

/** What decided the recommended maximum. */
export type Binding = Need | Exclude<Limit, "largest"> | "largestPool" | "holdTime"

/** Beyond this variability (p95 is more than 20 times p50) the mean lies in a tail that nobody has measured. */
const longTail = 26

/** A maximum that is so many times too big deserves a word even where it does no known harm. */
const muchTooBig = 2

const digits = 3

/** At most three digits that mean something, and thousands apart. */
export const numeral = (x: number): string =>
  (Number.isInteger(x) ? x : Number(x.toPrecision(digits))).toLocaleString("en-US", { maximumFractionDigits: digits })

export const millis = (x: number): string => (x < 1000 ? `${numeral(x)} ms` : `${numeral(x / 1000)} s`)

export const percent = (x: number): string => `${numeral(Math.round(x * 100))} %`

const plural = (n: number, noun: string): string => `${numeral(n)} ${noun}${n === 1 ? "" : "s"}`

/** A limit is rounded to the safe side; what is a whole number but for the search's precision stays one. */
const roundDown = (x: number): number => {
  const unit = 10 ** (Math.floor(Math.log10(x)) - digits + 1)
  return Math.floor(x / unit + 1e-6) * unit
}

/** Which of the facts decided. */
export const bindingOf = (sizes: Sizes): Binding => {
  const { ceiling, forNesting, isServed, limit, need, share, wanted } = sizes
  if (share < 1) return "serverConnections"
  if (!isServed) return "holdTime"
  if (forNesting > ceiling) return "nesting"
  if (wanted > ceiling) return limit === "largest" ? "largestPool" : limit
  return need
}

/** Whether there is no maximum that does. */
export const isBeyondHelp = ({ forNesting, isServed, share }: Sizes): boolean =>
  !isServed || share < 1 || forNesting > share

const busyWords = ({ arrivalRate, concurrency }: Question, { busy, hold, load }: Sizes): string => {
  const work = `${plural(arrivalRate, "acquire")} a second, each holding a connection for ${millis(hold.meanMillis)},`
  return concurrency === 1
    ? `${work} keep ${plural(busy, "connection")} busy`
    : `${work} are ${plural(load, "lease")} at a time, which at ${numeral(concurrency)} to a connection keep ${plural(busy, "connection")} busy`
}

const shareWords = (question: Question, { share }: Sizes): string =>
  question.replicas === 1
    ? `the server has ${numeral(share)} to give`
    : `the server has ${numeral(share)} for each of ${numeral(question.replicas)} replicas`

const limitWords = (limit: Limit, question: Question, sizes: Sizes): string => {
  switch (limit) {
    case "serverConnections":
      return shareWords(question, sizes)
    case "knee":
      return `beyond ${plural(sizes.knee, "connection")} the server gets less done, not more`
    case "largest":
      return `a pool has at most ${numeral(largest)}`
  }
}

const nestingWords = ({ concurrentBorrowers = 1, nestingDepth }: Question): string =>
  concurrentBorrowers === 1
    ? `a fiber that holds ${numeral(nestingDepth)} at the same time waits for itself with fewer than ${numeral(nestingDepth)} leases`
    : `${plural(concurrentBorrowers, "borrower")} that hold ${numeral(nestingDepth)} at the same time can all wait for each other ` +
      `with fewer than ${numeral(concurrentBorrowers)} x (${numeral(nestingDepth)} - 1) + 1 leases`

/** The server that would be large enough. Nothing where no server makes a pool larger. */
const largerServer = (question: Question, { knee, share }: Sizes, connections: number): ReadonlyArray<string> => {
  const { replicas, serverReserved } = question
  const whose = replicas === 1 ? "for this pool" : "for each replica"
  const more: Array<string> = []
  if (share < connections)
    more.push(
      `max_connections of ${numeral(connections * replicas + serverReserved)} (${numeral(connections)} ${whose})`
    )
  if (knee < connections) more.push(`a knee at ${plural(connections, "connection")} or more`)
  return more.length === 0 ? [] : [`give it a server with ${more.join(" and ")}`]
}

/** What would give the load the room that it has not, each with its number. */
const remedies = (question: Question, sizes: Sizes): string => {
  const { arrivalRate, connections, holdMillis } = remediesOf(question, sizes)
  const each = question.replicas === 1 ? "" : " for each replica"
  const ways = [
    `hold a connection for at most ${millis(roundDown(holdMillis))} on average`,
    `take at most ${plural(roundDown(arrivalRate), "acquire")} a second${each}`,
    ...largerServer(question, sizes, connections)
  ]
  return (
    `${ways.join(", or ")} (with any of these at most ${percent(question.targetUtilization)} are busy, and 99 of 100 acquires ` +
    `wait no longer than ${millis(waitGoal(question))})`
  )
}

const noPlaceWords = (question: Question): string => {
  const given = serverGives(question) ?? 0
  const { replicas, serverReserved } = question
  return (
    `no maximum fixes this: the server is the problem: it has ${plural(given, "connection")} to give, and ` +
    `${plural(replicas, "replica")} need one each. Run at most ${plural(given, "replica")}, raise max_connections to ` +
    `${numeral(replicas + serverReserved)} at least, or put a proxy that shares connections between them`
  )
}

const nestingBeyondHelp = (question: Question, sizes: Sizes): string => {
  const places = Math.max(1, sizes.share) * question.concurrency
  const borrowers = Math.floor((places - 1) / (question.nestingDepth - 1))
  return (
    `no maximum fixes this: the nesting is the problem: ${nestingWords(question)}, and ${shareWords(question, sizes)}. ` +
    `Acquire once and hand the connection down` +
    (borrowers > 0 ? `, or let at most ${plural(borrowers, "fiber")} borrow at the same time` : "")
  )
}

/** Why the recommended maximum is what it is. */
export const because = (binding: Binding, question: Question, sizes: Sizes): string => {
  const { forChance, forNesting, forUtilization, forWait, limit, share, wanted } = sizes
  const busy = busyWords(question, sizes)
  switch (binding) {
    case "load":
      return forChance >= forUtilization
        ? `${busy}; with room for chance that makes ${numeral(forChance)}`
        : `${busy}; at most ${percent(question.targetUtilization)} busy, that makes ${numeral(forUtilization)}`
    case "waitTarget":
      return `${busy}; for 99 of 100 acquires to wait no longer than ${millis(waitGoal(question))} it takes ${numeral(forWait)}`
    case "spare":
      return `${busy}; one connection is enough, and a second is there while the first is replaced`
    case "nesting":
      return forNesting > share
        ? nestingBeyondHelp(question, sizes)
        : `${nestingWords(question)}: that takes ${plural(forNesting, "connection")}`
    case "holdTime":
      return (
        `no maximum fixes this: the hold time is the problem: ${busy}, and ${limitWords(limit, question, sizes)}. ` +
        `What fixes it: ${remedies(question, sizes)}`
      )
    case "serverConnections":
      if (share < 1) return noPlaceWords(question)
      return `${busy}; ${numeral(wanted)} would be wanted, and ${limitWords(limit, question, sizes)}`
    case "knee":
    case "largestPool":
      return `${busy}; ${numeral(wanted)} would be wanted, and ${limitWords(limit, question, sizes)}`
  }
}

const times = (many: number, few: number): string => `${numeral(Number((many / few).toPrecision(2)))} times`

const askedWords = (replicas: number, each: number, question: Question): string =>
  `${plural(replicas, "replica")} with ${numeral(each)} each may ask for ${plural(replicas * each, "connection")}, ` +
  `the server has ${numeral(serverGives(question) ?? Infinity)} to give`

/** The largest maximum that nothing known speaks against. `Infinity` where nothing is known of the server. */
export const mostAllowed = ({ knee, recommended, share }: Sizes): number => Math.min(share, Math.max(knee, recommended))

const acceptableMaximum = (present: number, sizes: Sizes): string =>
  mostAllowed(sizes) === Infinity && present > muchTooBig * sizes.recommended
    ? `the present maximum of ${numeral(present)} is ${times(present, sizes.recommended)} what the load needs; whether the ` +
      `server bears it is not known without its max_connections or a measured knee`
    : `the present maximum of ${numeral(present)} does as well: nothing needs to change`

const presentMaximum = (question: Question, sizes: Sizes): ReadonlyArray<string> => {
  const { maxConnections: present, replicas } = question
  const { knee, recommended, share } = sizes
  if (present === undefined) return []
  const notes: Array<string> = []
  if (present > Math.max(knee, recommended))
    notes.push(
      `the present maximum of ${numeral(present)} is ${times(present, knee)} too big: the knee is near ${numeral(knee)}`
    )
  if (present > share) notes.push(askedWords(replicas, present, question))
  if (present < recommended)
    notes.push(`the present maximum of ${numeral(present)} is too small by ${numeral(recommended - present)}`)
  if (present >= recommended && present <= mostAllowed(sizes) && !isBeyondHelp(sizes))
    notes.push(acceptableMaximum(present, sizes))
  return notes
}

const presentMinimum = (
  { minConnections: present }: Question,
  sizes: Sizes,
  minimum: number
): ReadonlyArray<string> => {
  if (present === undefined) return []
  if (present > sizes.recommended)
    return [`the present minimum of ${numeral(present)} is more than the maximum recommended here`]
  return present < minimum
    ? [
        `the present minimum of ${numeral(present)} leaves ${plural(minimum - present, "connection")} that the load keeps busy to be opened while callers wait`
      ]
    : []
}

const deploy = (question: Question, { recommended, share }: Sizes): ReadonlyArray<string> => {
  const given = serverGives(question)
  const running = 2 * question.replicas
  if (given === undefined || share < 1 || running * recommended <= given) return []
  const safe = Math.floor(given / running)
  return [
    `behind a deploy twice as many replicas run for a moment: ${askedWords(running, recommended, question)}` +
      (safe > 0 ? `; ${numeral(safe)} each would be safe` : "")
  ]
}

const waits = (question: Question, { wait }: Sizes): ReadonlyArray<string> => {
  const { acquireTimeoutMillis, holdMillisP95, waitTargetMillis } = question
  const notes: Array<string> = []
  if (wait !== undefined && wait.p99 > acquireTimeoutMillis)
    notes.push(`more than 1 of 100 acquires runs into the acquire timeout of ${millis(acquireTimeoutMillis)}`)
  else if (wait !== undefined && wait.p99 > waitTargetMillis)
    notes.push(`99 of 100 acquires wait up to ${millis(wait.p99)}, and the target is ${millis(waitTargetMillis)}`)
  if (holdMillisP95 !== undefined && holdMillisP95 > acquireTimeoutMillis)
    notes.push(
      `1 of 20 leases lasts longer than ${millis(holdMillisP95)}, and an acquire gives up after ${millis(acquireTimeoutMillis)}`
    )
  return notes
}

const nesting = (question: Question, sizes: Sizes): ReadonlyArray<string> => {
  const { concurrency, concurrentBorrowers, nestingDepth } = question
  const { forNesting, knee, recommended, share } = sizes
  if (nestingDepth < 2) return []
  if (concurrentBorrowers === undefined) {
    const borrowers = Math.floor((recommended * concurrency - 1) / (nestingDepth - 1))
    return [
      `a fiber holds ${numeral(nestingDepth)} connections at the same time: with a maximum of ${numeral(recommended)}, more ` +
        `than ${plural(borrowers, "such fiber")} at once can all wait for each other`
    ]
  }
  return forNesting > knee && forNesting <= share
    ? [
        `${numeral(forNesting)} is past the knee near ${numeral(knee)}: acquire once and hand the connection down instead`
      ]
    : []
}

const certainty = ({ holdMillisP50, holdMillisP95, knee }: Question, { hold }: Sizes): ReadonlyArray<string> => {
  const notes =
    holdMillisP95 === undefined
      ? [`without a p95 of the hold time, ${millis(holdMillisP50)} is taken as its mean, and the times as exponential`]
      : [
          `the mean hold of ${millis(hold.meanMillis)} is that of a lognormal distribution with p50 ${millis(holdMillisP50)} ` +
            `and p95 ${millis(holdMillisP95)}`
        ]
  if (hold.variability > longTail) notes.push("hold times vary so much that this mean is a guess: measure it")
  if (knee !== undefined && knee.confidence < certainEnough)
    notes.push(
      `the knee near ${numeral(Math.floor(knee.connections))} is a guess yet (confidence ${numeral(knee.confidence)}), and limits nothing here`
    )
  return notes
}

const cores = ({ replicas, serverCores }: Question, { knee, recommended }: Sizes): ReadonlyArray<string> => {
  if (serverCores === undefined || knee < Infinity) return []
  const start = 2 * serverCores + 1
  const all = recommended * replicas
  return all <= start
    ? []
    : [
        `${plural(all, "connection")} on ${plural(serverCores, "core")} are more than the usual start value of ` +
          `2 x cores + 1 = ${numeral(start)}: watch whether leases last longer when more of them run`
      ]
}

/** Where the load is carried, but not within the targets. */
const missingRoom = (question: Question, sizes: Sizes): ReadonlyArray<string> => {
  const { busy, ceiling, isServed, recommended, wait, wanted } = sizes
  const isWithin = busy <= recommended * question.targetUtilization && (wait?.p99 ?? Infinity) <= waitGoal(question)
  return isServed && wanted > ceiling && !isWithin
    ? [`to have the room that is missing: ${remedies(question, sizes)}`]
    : []
}

/** What else an operator should know. */
export const notesOf = (question: Question, sizes: Sizes, minimum: number): ReadonlyArray<string> => [
  ...presentMaximum(question, sizes),
  ...presentMinimum(question, sizes, minimum),
  ...waits(question, sizes),
  ...missingRoom(question, sizes),
  ...nesting(question, sizes),
  ...deploy(question, sizes),
  ...cores(question, sizes),
  ...certainty(question, sizes)
]
