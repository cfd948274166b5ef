/**
 * The last facts of a pool's life, as numbers in fixed places: noting one is a few writes and allocates nothing, so that it
 * can stay switched on in every lease. Facts become events only for those who read them.
 *
 * Leases and everything else are noted apart, each the last `capacity` of their kind: a busy second of lending must not push
 * out the close that explains it. One sequence numbers them all.
 */
import { closeReasons } from "./Connection.ts"

/** How many facts of each kind are kept. */
export const capacity = 1000

/** The places for them: a power of two, since the way to the next place is part of every lease. */
const places = 1024

/** What is noted about the pool and its connections. */
export const lifeFacts = [
  "PoolCreated",
  "PoolReady",
  "PoolUnavailable",
  "PoolPaused",
  "PoolResumed",
  "PoolResized",
  "PoolCleared",
  "PoolDraining",
  "PoolClosed",
  "PoolWarming",
  "ConnectionCreated",
  "ConnectionReady",
  "ConnectFailed",
  "ConnectionChecked",
  "ConnectionReset",
  "ConnectionClosed",
  "BackoffStarted",
  "NestedAcquire",
  "SizingDecision",
  "SizingIgnored",
  "LimitChanged",
  "LeakSuspected",
  "LeakReturned",
  "OperatorAction"
] as const

/** What is noted about leases. `Lent` is an acquire that found its connection at once: it stands for its beginning, too. */
export const leaseFacts = ["AcquireStarted", "AcquireFailed", "Acquired", "Lent", "Released"] as const

export type FactName = (typeof lifeFacts)[number] | (typeof leaseFacts)[number]

/** What the `detail` of a fact means, by its name. */
export const details = {
  AcquireFailed: ["timeout", "overloaded", "unavailable", "paused", "closed", "deadlock", "cancelled", "shed"],
  Released: ["clean", "dirty", "suspect", "broken", "revoked"],
  ConnectionClosed: closeReasons,
  ConnectFailed: ["transient", "permanent", "overloaded"]
} as const

/** A fact as it was noted. Which of the numbers mean something depends on its name. */
export interface Fact {
  readonly sequence: number
  readonly name: FactName
  readonly at: number
  readonly connection: number
  readonly lease: number
  readonly acquire: number
  readonly duration: number
  readonly detail: number
  readonly text: string | undefined
}

const width = 7

class Ring {
  readonly names: ReadonlyArray<FactName>
  /** How many were ever noted. */
  written = 0
  private readonly numbers = new Float64Array(places * width)

  constructor(names: ReadonlyArray<FactName>) {
    this.names = names
  }

  write(
    sequence: number,
    name: number,
    at: number,
    connection: number,
    lease: number,
    acquire: number,
    duration: number,
    detail: number
  ): number {
    const { numbers } = this
    const slot = this.written++ & (places - 1)
    const place = slot * width
    // Name and detail are small, and share a place.
    numbers[place] = sequence
    numbers[place + 1] = name * 64 + detail
    numbers[place + 2] = at
    numbers[place + 3] = connection
    numbers[place + 4] = lease
    numbers[place + 5] = acquire
    numbers[place + 6] = duration
    return slot
  }

  /** The place of a fact that was noted a little while ago. */
  find(sequence: number): number | undefined {
    for (let index = this.written - 1; index >= Math.max(0, this.written - capacity); index--) {
      const slot = index & (places - 1)
      const found = this.numbers[slot * width]!
      if (found <= sequence) return found === sequence ? slot : undefined
    }
    return undefined
  }

  read(index: number, text: string | undefined): Fact {
    const { numbers } = this
    const place = (index & (places - 1)) * width
    const code = numbers[place + 1]!
    return {
      sequence: numbers[place]!,
      name: this.names[Math.floor(code / 64)]!,
      at: numbers[place + 2]!,
      connection: numbers[place + 3]!,
      lease: numbers[place + 4]!,
      acquire: numbers[place + 5]!,
      duration: numbers[place + 6]!,
      detail: code % 64,
      text
    }
  }
}

const codesOf = <Name extends string>(names: ReadonlyArray<Name>): Readonly<Record<Name, number>> =>
  Object.fromEntries(names.map((name, code) => [name, code])) as Record<Name, number>

const lifeCodes = codesOf(lifeFacts)
const leaseCodes = codesOf(leaseFacts)
const detailCodes = {
  AcquireFailed: codesOf(details.AcquireFailed),
  Released: codesOf(details.Released),
  ConnectionClosed: codesOf(details.ConnectionClosed),
  ConnectFailed: codesOf(details.ConnectFailed)
}

export class FlightRecorder {
  /** Called at the next fact, once: somebody reads along. */
  onFact: (() => void) | undefined = undefined
  private sequence = 0
  private readonly life = new Ring(lifeFacts)
  private readonly lending = new Ring(leaseFacts)
  private readonly texts: Array<string | undefined> = []

  /** How many facts were ever noted: the sequence number of the last. */
  get last(): number {
    return this.sequence
  }

  // The pool and its connections. `detail` is a plain number here: what it means is said where it is read.

  noteLife(
    name: (typeof lifeFacts)[number],
    at: number,
    { connection = 0, lease = 0, acquire = 0, duration = 0, detail = 0 } = {},
    text?: string
  ): number {
    const sequence = ++this.sequence
    const slot = this.life.write(sequence, lifeCodes[name], at, connection, lease, acquire, duration, detail)
    this.texts[slot] = text
    if (this.onFact !== undefined) this.wake()
    return sequence
  }

  /** Says in words what was noted without. What has been overwritten meanwhile is not there to be said anything of. */
  describe(sequence: number, text: string): void {
    const slot = this.life.find(sequence)
    if (slot !== undefined) this.texts[slot] = text
  }

  // Leases, on the fast path.

  started(at: number, acquire: number): void {
    this.noteLease(leaseCodes.AcquireStarted, at, 0, 0, acquire, 0, 0)
  }

  lent(at: number, acquire: number, lease: number, connection: number): void {
    this.noteLease(leaseCodes.Lent, at, connection, lease, acquire, 0, 0)
  }

  acquired(at: number, acquire: number, lease: number, connection: number, waited: number): void {
    this.noteLease(leaseCodes.Acquired, at, connection, lease, acquire, waited, 0)
  }

  failed(at: number, acquire: number, waited: number, reason: (typeof details.AcquireFailed)[number]): void {
    this.noteLease(leaseCodes.AcquireFailed, at, 0, 0, acquire, waited, detailCodes.AcquireFailed[reason])
  }

  released(at: number, lease: number, connection: number, held: number, end: (typeof details.Released)[number]): void {
    this.noteLease(leaseCodes.Released, at, connection, lease, 0, held, detailCodes.Released[end])
  }

  /** Everything that is still known after this sequence number, in order, and how many facts are not known any more. */
  since(sequence: number): { readonly facts: ReadonlyArray<Fact>; readonly missed: number } {
    const facts: Array<Fact> = []
    const life = this.readRing(this.life, sequence)
    const lending = this.readRing(this.lending, sequence)
    let i = 0
    let j = 0
    while (i < life.length || j < lending.length) {
      const one = life[i]
      const other = lending[j]
      if (other === undefined || (one !== undefined && one.sequence < other.sequence)) facts.push(life[i++]!)
      else facts.push(lending[j++]!)
    }
    return { facts, missed: this.sequence - sequence - facts.length }
  }

  private readRing(ring: Ring, sequence: number): ReadonlyArray<Fact> {
    const facts: Array<Fact> = []
    for (let index = ring.written - 1; index >= Math.max(0, ring.written - capacity); index--) {
      const fact = ring.read(index, ring === this.life ? this.texts[index & (places - 1)] : undefined)
      if (fact.sequence <= sequence) break
      facts.push(fact)
    }
    return facts.reverse()
  }

  private noteLease(
    name: number,
    at: number,
    connection: number,
    lease: number,
    acquire: number,
    duration: number,
    detail: number
  ): void {
    this.lending.write(++this.sequence, name, at, connection, lease, acquire, duration, detail)
    if (this.onFact !== undefined) this.wake()
  }

  private wake(): void {
    const { onFact } = this
    this.onFact = undefined
    onFact?.()
  }
}

/** The closing reason, the failure's kind and the like, in words. */
export const detailOf = <Name extends keyof typeof details>(fact: Fact, name: Name): (typeof details)[Name][number] =>
  details[name][fact.detail]!

/** The code of a detail that is noted with `noteLife`. */
export const detailCode = <Name extends "ConnectionClosed" | "ConnectFailed">(
  name: Name,
  detail: (typeof details)[Name][number]
): number => (detailCodes[name] as Readonly<Record<string, number>>)[detail]!
