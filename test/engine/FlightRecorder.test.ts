/** What happened can be read afterwards: every fact once, in order, and every beginning with its end. */
import { assert, describe, it } from "@effect/vitest"
import { closeReasons } from "../../src/engine/Connection.js"
import {
  capacity,
  detailCode,
  detailOf,
  details,
  type Fact,
  FlightRecorder,
  leaseFacts,
  lifeFacts
} from "../../src/engine/FlightRecorder.js"
import { EngineDriver } from "../support/EngineDriver.ts"

const factsOf = (pool: EngineDriver, since = 0): ReadonlyArray<Fact> => pool.ledger.recorder.since(since).facts

const namesOf = (pool: EngineDriver, since = 0): ReadonlyArray<string> => factsOf(pool, since).map(({ name }) => name)

/** Of a fact, what is not the same for every one. */
const said = ({ name, sequence: _, text, ...numbers }: Fact): Partial<Fact> => {
  const meant = Object.entries(numbers).filter(([key, value]) => key === "at" || value !== 0)
  return { name, ...Object.fromEntries(meant), ...(text === undefined ? {} : { text }) }
}

/** What is noted while something happens. */
const noted = (pool: EngineDriver, happens: () => void): ReadonlyArray<Partial<Fact>> => {
  const { last } = pool.ledger.recorder
  happens()
  return factsOf(pool, last).map(said)
}

const only = (pool: EngineDriver, name: string, happens: () => void): Partial<Fact> => {
  const facts = noted(pool, happens).filter((fact) => fact.name === name)
  assert.strictEqual(facts.length, 1)
  return facts[0]!
}

describe("a recorder", () => {
  it("knows nothing at first", () => {
    const recorder = new FlightRecorder()
    assert.deepStrictEqual([recorder.last, recorder.since(0)], [0, { facts: [], missed: 0 }])
  })

  it("numbers facts from 1, across both kinds", () => {
    const recorder = new FlightRecorder()
    recorder.noteLife("PoolReady", 10)
    recorder.started(11, 1)
    recorder.noteLife("PoolPaused", 12)
    const { facts } = recorder.since(0)
    assert.deepStrictEqual(
      facts.map(({ at, name, sequence }) => [sequence, name, at]),
      [
        [1, "PoolReady", 10],
        [2, "AcquireStarted", 11],
        [3, "PoolPaused", 12]
      ]
    )
    assert.strictEqual(recorder.last, 3)
  })

  it("keeps every number in its place", () => {
    const recorder = new FlightRecorder()
    recorder.noteLife("ConnectFailed", 1, { connection: 2, lease: 3, acquire: 4, duration: 5, detail: 6 }, "why")
    assert.deepStrictEqual(recorder.since(0).facts, [
      {
        sequence: 1,
        name: "ConnectFailed",
        at: 1,
        connection: 2,
        lease: 3,
        acquire: 4,
        duration: 5,
        detail: 6,
        text: "why"
      }
    ])
  })

  it("keeps what is said about leases in its place", () => {
    const recorder = new FlightRecorder()
    recorder.started(1, 7)
    recorder.lent(2, 7, 8, 9)
    recorder.acquired(3, 7, 8, 9, 10)
    recorder.failed(4, 7, 11, "cancelled")
    recorder.released(5, 8, 9, 12, "revoked")
    assert.deepStrictEqual(recorder.since(0).facts.map(said), [
      { name: "AcquireStarted", at: 1, acquire: 7 },
      { name: "Lent", at: 2, acquire: 7, lease: 8, connection: 9 },
      { name: "Acquired", at: 3, acquire: 7, lease: 8, connection: 9, duration: 10 },
      { name: "AcquireFailed", at: 4, acquire: 7, duration: 11, detail: 6 },
      { name: "Released", at: 5, lease: 8, connection: 9, duration: 12, detail: 4 }
    ])
  })

  it("knows every fact by its name", () => {
    const recorder = new FlightRecorder()
    for (const name of lifeFacts) recorder.noteLife(name, 0)
    assert.deepStrictEqual(
      recorder.since(0).facts.map(({ name }) => name),
      [...lifeFacts]
    )
  })

  it("has a word for every detail", () => {
    const recorder = new FlightRecorder()
    for (const reason of details.AcquireFailed) recorder.failed(0, 1, 0, reason)
    const { facts } = recorder.since(0)
    assert.deepStrictEqual(
      facts.map((fact) => detailOf(fact, "AcquireFailed")),
      [...details.AcquireFailed]
    )
  })

  it("has a code for every reason to close, that leads back to it", () => {
    const recorder = new FlightRecorder()
    for (const reason of closeReasons) {
      recorder.noteLife("ConnectionClosed", 0, { detail: detailCode("ConnectionClosed", reason) })
    }
    const words = recorder.since(0).facts.map((fact) => detailOf(fact, "ConnectionClosed"))
    assert.deepStrictEqual(words, [...closeReasons])
  })

  it("has room in a place for every code", () => {
    assert.isBelow(Math.max(...Object.values(details).map((words) => words.length)), 64)
  })

  it("tells what came after a number only", () => {
    const recorder = new FlightRecorder()
    for (let at = 1; at <= 5; at++) recorder.started(at, at)
    const { facts, missed } = recorder.since(3)
    assert.deepStrictEqual([facts.map(({ sequence }) => sequence), missed], [[4, 5], 0])
  })

  it("tells nothing to who knows the last", () => {
    const recorder = new FlightRecorder()
    recorder.started(1, 1)
    recorder.noteLife("PoolReady", 2)
    assert.deepStrictEqual(recorder.since(2), { facts: [], missed: 0 })
  })

  it("leaves a fact without words, whose place in the ring had some before", () => {
    const recorder = new FlightRecorder()
    recorder.noteLife("ConnectFailed", 0, {}, "why")
    for (let at = 1; at <= 1024; at++) recorder.noteLife("PoolReady", at)
    assert.isTrue(recorder.since(0).facts.every(({ text }) => text === undefined))
  })

  it("gives a fact about a lease no words of a fact about a connection", () => {
    const recorder = new FlightRecorder()
    recorder.noteLife("ConnectFailed", 0, {}, "why")
    recorder.started(1, 1)
    assert.deepStrictEqual(
      recorder.since(0).facts.map(({ text }) => text),
      ["why", undefined]
    )
  })
})

describe("a recorder that is full", () => {
  it("keeps the last thousand, in order, and says how many it has not", () => {
    const recorder = new FlightRecorder()
    for (let at = 1; at <= 2500; at++) recorder.started(at, at)
    const { facts, missed } = recorder.since(0)
    assert.deepStrictEqual(
      facts.map(({ sequence }) => sequence),
      Array.from({ length: capacity }, (_, index) => 1501 + index)
    )
    assert.strictEqual(missed, 1500)
  })

  it("misses none for who has read as far as it goes back", () => {
    const recorder = new FlightRecorder()
    for (let at = 1; at <= 2500; at++) recorder.started(at, at)
    assert.strictEqual(recorder.since(1500).missed, 0)
    assert.strictEqual(recorder.since(1499).missed, 1)
  })

  it("is full at exactly a thousand", () => {
    const recorder = new FlightRecorder()
    for (let at = 1; at <= capacity; at++) recorder.noteLife("PoolReady", at)
    assert.deepStrictEqual([recorder.since(0).facts.length, recorder.since(0).missed], [capacity, 0])
    recorder.noteLife("PoolReady", 0)
    assert.deepStrictEqual([recorder.since(0).facts.length, recorder.since(0).missed], [capacity, 1])
  })

  it("keeps what happened to connections through any number of leases, and counts what is missing between", () => {
    const recorder = new FlightRecorder()
    recorder.noteLife("PoolReady", 0)
    for (let at = 1; at <= 1500; at++) recorder.started(at, at)
    recorder.noteLife("PoolPaused", 1501)
    const { facts, missed } = recorder.since(0)
    assert.deepStrictEqual(
      [facts[0]!.name, facts[1]!.sequence, facts.at(-1)!.name, missed],
      ["PoolReady", 502, "PoolPaused", 500]
    )
  })
})

describe("who reads along", () => {
  it("is called at the next fact, whichever kind, and once", () => {
    for (const note of [
      (recorder: FlightRecorder) => recorder.noteLife("PoolReady", 0),
      (recorder: FlightRecorder) => recorder.started(0, 1)
    ]) {
      const recorder = new FlightRecorder()
      let calls = 0
      recorder.onFact = () => calls++
      note(recorder)
      note(recorder)
      assert.strictEqual(calls, 1)
    }
  })

  it("finds the fact there when it is called, and may ask to be called again", () => {
    const recorder = new FlightRecorder()
    const seen: Array<number> = []
    const listen = (): void => {
      recorder.onFact = () => {
        seen.push(recorder.since(0).facts.length)
        listen()
      }
    }
    listen()
    recorder.started(0, 1)
    recorder.noteLife("PoolReady", 0)
    assert.deepStrictEqual(seen, [1, 2])
  })
})

describe("the life of a connection", () => {
  it("is noted from its beginning to its end, with what each part took", () => {
    const pool = EngineDriver.withIdle(0)
    pool.cancel(pool.wait("a"))
    const { last } = pool.ledger.recorder
    pool.decided()
    pool.pass(30)
    pool.opened(1)
    pool.release(pool.borrow(), "suspect")
    pool.decided()
    pool.pass(7)
    pool.resetDone(1, true)
    pool.decided()
    pool.pass(5)
    pool.checked(1, true)
    pool.invalidate(1)
    pool.decided()
    pool.pass(3)
    pool.closed(1)
    const facts = factsOf(pool, last).filter(({ name }) => (lifeFacts as ReadonlyArray<string>).includes(name))
    const detail = closeReasons.indexOf("invalidated")
    assert.deepStrictEqual(facts.map(said), [
      { name: "ConnectionReady", at: 30, connection: 1, duration: 30 },
      { name: "ConnectionReset", at: 37, connection: 1, duration: 7, detail: 1 },
      { name: "ConnectionChecked", at: 42, connection: 1, duration: 5, detail: 1 },
      { name: "ConnectionClosed", at: 45, connection: 1, duration: 3, detail, acquire: 1 }
    ])
  })

  it("begins with being created", () => {
    const pool = EngineDriver.withIdle(0)
    const fact = only(pool, "ConnectionCreated", () => pool.wait("a"))
    assert.deepStrictEqual(fact, { name: "ConnectionCreated", at: 0, connection: 1 })
  })

  it("says of a failed connect what it took, its kind and its words", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.pass(20)
    const fact = only(pool, "ConnectFailed", () =>
      pool.engine.openFailed(pool.connection(1), "overloaded", pool.now, "no room")
    )
    const expected = { name: "ConnectFailed", at: 20, connection: 1, duration: 20, detail: 2, text: "no room" }
    assert.deepStrictEqual<unknown>(fact, expected)
  })

  it("says of a reset that failed that it did", () => {
    const pool = EngineDriver.withIdle(1)
    pool.release(pool.borrow(), "dirty")
    pool.decided()
    assert.deepStrictEqual(
      noted(pool, () => pool.resetDone(1, false)),
      [{ name: "ConnectionReset", at: 0, connection: 1 }]
    )
  })

  it("says of a check that failed that it did", () => {
    const pool = EngineDriver.withIdle(1, { canReset: false })
    pool.release(pool.borrow(), "suspect")
    pool.decided()
    assert.deepStrictEqual(
      noted(pool, () => pool.checked(1, false)),
      [{ name: "ConnectionChecked", at: 0, connection: 1 }]
    )
  })

  it("has no word of a check that was given up", () => {
    const pool = EngineDriver.withIdle(1, { canReset: false })
    pool.release(pool.borrow(), "suspect")
    pool.decided()
    assert.deepStrictEqual(
      noted(pool, () => pool.invalidate(1)),
      []
    )
  })

  it("says of its close whether its finalizer was given up", () => {
    const pool = EngineDriver.withIdle(1)
    pool.invalidate(1)
    pool.decided()
    const fact = only(pool, "ConnectionClosed", () => pool.closed(1, true))
    assert.strictEqual(fact.lease, 1)
  })
})

describe("the life of a pool", () => {
  it("begins with its limits, and is ready with its first connection", () => {
    const pool = new EngineDriver({ minConnections: 1, maxConnections: 7 })
    pool.start()
    pool.carryOut()
    assert.deepStrictEqual(factsOf(pool).map(said), [
      { name: "PoolCreated", at: 0, acquire: 1, lease: 7 },
      { name: "ConnectionCreated", at: 0, connection: 1 },
      { name: "ConnectionReady", at: 0, connection: 1 },
      { name: "PoolReady", at: 0 },
      { name: "PoolWarming", at: 0, acquire: 1, lease: 1 }
    ])
  })

  it("notes what an operator asks", () => {
    const pool = EngineDriver.withIdle(0)
    const facts = noted(pool, () => {
      pool.pause()
      pool.pause(true)
      pool.resume()
      pool.resize(0, 5)
      pool.recycle()
      pool.recycle(true)
    })
    assert.deepStrictEqual(facts, [
      { name: "PoolPaused", at: 0 },
      { name: "PoolPaused", at: 0, detail: 1 },
      { name: "PoolResumed", at: 0 },
      { name: "PoolResized", at: 0, lease: 5 },
      { name: "PoolCleared", at: 0, acquire: 1 },
      { name: "PoolCleared", at: 0, acquire: 2, detail: 1 }
    ])
  })

  it("notes that it drains, with how many leases are out, and that it is closed", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    const { last } = pool.ledger.recorder
    pool.drain()
    pool.release(loan)
    pool.carryOut()
    assert.deepStrictEqual(namesOf(pool, last), ["PoolDraining", "Released", "ConnectionClosed", "PoolClosed"])
    assert.strictEqual(factsOf(pool, last)[0]!.lease, 1)
  })

  it("notes how long a backoff step takes, and which it is", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.pass(10)
    assert.deepStrictEqual(
      noted(pool, () => pool.backoffStarted(110)),
      [{ name: "BackoffStarted", at: 10, duration: 100, acquire: 1 }]
    )
  })

  it("notes no backoff step that comes when all is well", () => {
    const pool = EngineDriver.withIdle(0)
    assert.deepStrictEqual(
      noted(pool, () => pool.backoffStarted(100)),
      []
    )
  })

  it("notes that it cannot be reached, before those it refuses for that", () => {
    const pool = EngineDriver.withIdle(0, { unavailableAfter: 1000 })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    const facts = noted(pool, () => pool.advance(1000))
    assert.deepStrictEqual(facts, [
      { name: "PoolUnavailable", at: 1000 },
      { name: "AcquireFailed", at: 1000, acquire: 1, duration: 1000, detail: 2 }
    ])
  })

  it("notes an acquire that waits for what its fiber holds, and what that is", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    const { acquires } = pool.ledger
    const fact = only(pool, "NestedAcquire", () => pool.wait("a", { held: [loan], holder: "child" }))
    assert.deepStrictEqual<unknown>(fact, {
      name: "NestedAcquire",
      at: 0,
      acquire: acquires + 1,
      lease: loan.id,
      connection: 1
    })
  })
})

describe("the facts about an acquire", () => {
  it("are one, when it finds its connection at once", () => {
    const pool = EngineDriver.withIdle(1)
    const facts = noted(pool, () => pool.borrow())
    assert.deepStrictEqual(
      facts.map(({ name }) => name),
      ["Lent"]
    )
  })

  it("are its beginning, and how long it has waited when it was served, not when it ran", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.pass(40)
    pool.release(loan)
    pool.pass(2)
    const [fact] = noted(pool, () => pool.take(waiter))
    const expected = {
      name: "Acquired",
      at: 40,
      acquire: waiter.acquire,
      lease: waiter.leaseId,
      connection: 1,
      duration: 40
    }
    assert.deepStrictEqual<unknown>(fact, expected)
  })

  it("are its beginning and its refusal, though it never waited", () => {
    const pool = EngineDriver.withIdle(0)
    pool.drain()
    pool.carryOut()
    const facts = noted(pool, () => pool.wait("a"))
    assert.deepStrictEqual(
      facts.map(({ name }) => name),
      ["AcquireStarted", "AcquireFailed"]
    )
  })

  it("say nothing of a lease that nobody took", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.release(loan)
    const facts = noted(pool, () => pool.cancel(waiter))
    assert.deepStrictEqual(
      facts.map(({ detail, name }) => [name, details.AcquireFailed[detail!]]),
      [["AcquireFailed", "cancelled"]]
    )
  })

  it("say of its lease how long it was held, and how it ended", () => {
    for (const end of ["clean", "dirty", "suspect", "broken"] as const) {
      const pool = EngineDriver.withIdle(1)
      const loan = pool.borrow()
      pool.pass(25)
      const fact = only(pool, "Released", () => pool.release(loan, end))
      const detail = details.Released.indexOf(end)
      const { connection, duration, lease } = fact
      assert.deepStrictEqual([connection, duration, lease, fact.detail ?? 0], [1, 25, loan.id, detail])
    }
  })

  it("say of a lease that was taken back that it was", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    const fact = only(pool, "Released", () => pool.recycle(true))
    assert.strictEqual(details.Released[fact.detail!], "revoked")
  })

  it("say of a lease that was taken back before it could be taken that it began and ended", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.release(loan)
    waiter.isWoken = true
    pool.recycle(true)
    const facts = noted(pool, () => pool.take(waiter))
    assert.deepStrictEqual(
      facts.map(({ lease, name }) => [name, lease]),
      [
        ["Acquired", waiter.leaseId],
        ["Released", waiter.leaseId]
      ]
    )
  })
})

describe("every beginning", () => {
  /** Everything at once: shared and not, served, refused, cancelled, revoked, failed, abandoned. */
  const busyLife = (): EngineDriver => {
    const pool = EngineDriver.withIdle(3, { concurrency: 2, maxConnections: 3, maxWaiting: 3, acquireTimeout: 1000 })
    const loans = Array.from({ length: 5 }, () => pool.borrow())
    const waiters = ["a", "b", "c", "d", "e"].map((name, index) => pool.wait(name, { isExclusive: index === 1 }))
    pool.cancel(waiters[0]!)
    pool.release(loans[0]!, "broken")
    pool.release(loans[1]!, "suspect")
    pool.carryOut()
    pool.advance(1000)
    pool.recycle(true)
    pool.carryOut()
    for (const waiter of waiters) pool.take(waiter)
    pool.wait("f")
    pool.carryOut()
    pool.drain()
    pool.revokeLeases()
    pool.carryOut()
    for (const waiter of waiters) pool.take(waiter)
    return pool
  }

  const numbersOf = (
    pool: EngineDriver,
    names: ReadonlyArray<string>,
    key: "acquire" | "lease" | "connection"
  ): ReadonlyArray<number> =>
    factsOf(pool)
      .filter(({ name }) => names.includes(name))
      .map((fact) => fact[key])
      .sort((one, other) => one - other)

  it("of an acquire has exactly one end", () => {
    const pool = busyLife()
    assert.deepStrictEqual(
      numbersOf(pool, ["AcquireStarted"], "acquire"),
      numbersOf(pool, ["Acquired", "AcquireFailed"], "acquire")
    )
  })

  it("of a lease has exactly one end", () => {
    const pool = busyLife()
    assert.deepStrictEqual(numbersOf(pool, ["Lent", "Acquired"], "lease"), numbersOf(pool, ["Released"], "lease"))
  })

  it("of a connection has exactly one end", () => {
    const pool = busyLife()
    assert.deepStrictEqual(
      numbersOf(pool, ["ConnectionCreated"], "connection"),
      numbersOf(pool, ["ConnectionClosed"], "connection")
    )
  })

  it("is in the counters, as a sum", () => {
    const pool = busyLife()
    const count = (...names: ReadonlyArray<string>): number => numbersOf(pool, names, "acquire").length
    const { acquired, cancelled, created, deadlocked, refused, released, shed, timedOut } = pool.ledger.counters
    assert.deepStrictEqual(
      [acquired, released, created, cancelled + deadlocked + refused + shed + timedOut],
      [count("Lent", "Acquired"), count("Released"), count("ConnectionReady"), count("AcquireFailed")]
    )
  })

  it("is one of the facts that there are", () => {
    const known = new Set<string>([...lifeFacts, ...leaseFacts])
    assert.isTrue(namesOf(busyLife()).every((name) => known.has(name)))
  })
})
