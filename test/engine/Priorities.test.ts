/** Whoever waits for an answer goes before whoever works through a batch, and none of them for ever. */
import { assert, describe, it } from "@effect/vitest"
import { Line, Waiters } from "../../src/engine/Waiters.ts"
import { assertInvariants, EngineDriver, type EngineOptions, type Loan, NamedWaiter } from "../support/EngineDriver.ts"

type Options = { readonly isBatch?: boolean; readonly isExclusive?: boolean; readonly acquire?: number }

const waiter = (name: string, options: Options = {}): NamedWaiter => Object.assign(new NamedWaiter(name), options)

const batch = (name: string): NamedWaiter => waiter(name, { isBatch: true })

const join = (pool: EngineDriver, joining: NamedWaiter): NamedWaiter => {
  joining.refusal = pool.engine.enqueue(joining, pool.now)
  assertInvariants(pool.engine, pool.now)
  return joining
}

/** A pool of one connection, which is lent, and those who wait for it. */
const busy = (waiters: ReadonlyArray<NamedWaiter>, options: Partial<EngineOptions> = {}) => {
  const pool = EngineDriver.withIdle(1, { maxConnections: 1, ...options })
  const loan = options.concurrency === undefined ? pool.borrow() : exclusively(pool)
  for (const each of waiters) join(pool, each)
  return { pool, loan, waiters }
}

const exclusively = (pool: EngineDriver): Loan => {
  const loan = pool.lease(true)
  assert.isDefined(loan)
  return loan
}

/** The connection goes from one to the next, until nobody waits. */
const orderOf = ({ loan, pool, waiters }: ReturnType<typeof busy>): ReadonlyArray<string> => {
  const served: Array<string> = []
  for (let holding: Loan | undefined = loan; holding !== undefined;) {
    pool.release(holding)
    pool.carryOut()
    const next = waiters.find(({ state }) => state === "served")
    holding = next && pool.take(next)
    if (next !== undefined) served.push(next.name)
  }
  return served
}

const named = (prefix: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`)

describe("interactive waiters", () => {
  it("are served before a batch that came first", () => {
    assert.deepStrictEqual(orderOf(busy([batch("b"), waiter("i")])), ["i", "b"])
  })

  it("are served in the order in which they came", () => {
    assert.deepStrictEqual(orderOf(busy(named("i", 3).map((name) => waiter(name)))), ["i1", "i2", "i3"])
  })

  it("leave every tenth connection to a batch that waits", () => {
    const waiters = [...named("b", 3).map(batch), ...named("i", 20).map((name) => waiter(name))]
    const i = named("i", 20)
    assert.deepStrictEqual(orderOf(busy(waiters)), [
      ...i.slice(0, 9),
      "b1",
      ...i.slice(9, 18),
      "b2",
      ...i.slice(18),
      "b3"
    ])
  })

  it("are counted from when a batch comes", () => {
    // Twenty were served while no batch waited.
    const before = busy(named("i", 20).map((name) => waiter(name)))
    orderOf(before)
    const { pool } = before
    const waiters = [batch("b"), ...named("i", 10).map((name) => waiter(name))]
    const loan = pool.borrow()
    for (const each of waiters) join(pool, each)
    assert.strictEqual(orderOf({ loan, pool, waiters }).indexOf("b"), 9)
  })
})

describe("batch waiters", () => {
  it("are served in the order in which they came", () => {
    assert.deepStrictEqual(orderOf(busy(named("b", 3).map(batch))), ["b1", "b2", "b3"])
  })

  it("are served at once where nobody else waits", () => {
    const { loan, pool } = busy([batch("b")])
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve b"])
  })

  it("have the same deadline as others", () => {
    const { pool } = busy([batch("b")], { acquireTimeout: 5000 })
    pool.pass(100)
    join(pool, waiter("i"))
    pool.advance(4900)
    assert.deepStrictEqual(pool.decided(), ["Refuse b: timeout"])
  })

  it("keep others from no deadline of theirs", () => {
    const { pool } = busy([waiter("i")], { acquireTimeout: 5000 })
    pool.pass(100)
    join(pool, batch("b"))
    pool.advance(4900)
    assert.deepStrictEqual(pool.decided(), ["Refuse i: timeout"])
  })

  it("wake the pool at their deadline, though others go first", () => {
    const { pool } = busy([batch("b")], { acquireTimeout: 900 })
    pool.pass(100)
    join(pool, waiter("i"))
    assert.strictEqual(pool.engine.wakeAt(), 900)
  })

  it("are not served after their deadline when their turn comes", () => {
    const { loan, pool } = busy([batch("b1")], { acquireTimeout: 5000 })
    pool.pass(100)
    join(pool, batch("b2"))
    pool.pass(4900)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Refuse b1: timeout", "Serve b2"])
  })
})

describe("where connections are shared", () => {
  const shared = { concurrency: 2 }
  const alone = (name: string, isBatch = false): NamedWaiter => waiter(name, { isBatch, isExclusive: true })

  it("an interactive waiter who wants one to himself goes before a batch that would share", () => {
    assert.deepStrictEqual(orderOf(busy([batch("b"), alone("i")], shared)), ["i", "b"])
  })

  it("an interactive waiter who shares goes before a batch that wants one to itself", () => {
    assert.deepStrictEqual(orderOf(busy([alone("b", true), waiter("i")], shared)), ["i", "b"])
  })

  it("of two in the same hurry the one who came first goes first, whatever he wants", () => {
    assert.deepStrictEqual(orderOf(busy([alone("i1"), waiter("i2")], shared)), ["i1", "i2"])
    assert.deepStrictEqual(orderOf(busy([waiter("i1"), alone("i2")], shared)), ["i1", "i2"])
  })

  it("every tenth is for a batch, whatever it wants", () => {
    for (const isExclusive of [true, false]) {
      const waiters = [waiter("b", { isBatch: true, isExclusive }), ...named("i", 12).map((name) => alone(name))]
      assert.strictEqual(orderOf(busy(waiters, shared)).indexOf("b"), 9)
    }
  })
})

describe("one who was served and waits again", () => {
  /** Two connections are lent, "first" gets the one, and loses it before he is told. */
  const lost = (isBatch: boolean) => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const loans = [pool.borrow(), pool.borrow()] as const
    for (const name of ["first", "second"]) join(pool, waiter(name, { isBatch }))
    pool.release(loans[0])
    pool.died(loans[0].connection.id)
    pool.decided()
    pool.release(loans[1])
    return pool
  }

  for (const isBatch of [false, true]) {
    it(`is served before those who came later: ${isBatch ? "batch" : "interactive"}`, () => {
      const served = lost(isBatch)
        .carryOut()
        .find((decision) => decision.startsWith("Serve"))
      assert.strictEqual(served, "Serve first")
    })
  }

  it("goes back to his own class, and has his turn again", () => {
    const waiters = new Waiters<string>()
    const first = waiter("b1", { acquire: 1, isBatch: true })
    const all = [first, waiter("i", { acquire: 2 }), waiter("b2", { acquire: 3, isBatch: true })]
    for (const each of all) waiters.push(each)
    waiters.remove(first)
    waiters.putBack(first)
    assert.deepStrictEqual([waiters.first, waiters.sharing.batch.first], [first, first])
  })

  for (const place of [0, 1, 2]) {
    it(`goes back to place ${place + 1} of 3, if that was his`, () => {
      const line = new Line<string>()
      const all = [1, 2, 3].map((acquire) => waiter(`${acquire}`, { acquire }))
      for (const each of all) line.push(each)
      line.remove(all[place]!)
      line.putBack(all[place]!)
      const forwards: Array<string> = []
      const backwards: Array<string> = []
      for (let each = line.first; each !== undefined; each = each.behind) forwards.push((each as NamedWaiter).name)
      for (let each = line.last; each !== undefined; each = each.ahead) backwards.push((each as NamedWaiter).name)
      assert.deepStrictEqual([forwards.join(""), backwards.join(""), line.length], ["123", "321", 3])
    })
  }
})

describe("the number of those who wait", () => {
  it("is that of both classes together", () => {
    const { pool } = busy([batch("b"), waiter("i")])
    assert.strictEqual(pool.ledger.waiting, 2)
  })

  it("falls when one of either class leaves", () => {
    const { pool, waiters } = busy([batch("b"), waiter("i")])
    pool.cancel(waiters[0]!)
    assert.strictEqual(pool.ledger.waiting, 1)
  })
})
