import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

const driverWith = (count: number) => EngineDriver.withIdle(count, { leakThreshold: 10_000, maxConnections: count })

describe("a lease that runs past the threshold", () => {
  it("is reported once, at the next look, and again when it comes back", () => {
    const driver = driverWith(1)
    const loan = driver.borrow()
    driver.advance(9000)
    assert.deepStrictEqual(driver.decided(), [])
    driver.advance(1000)
    assert.deepStrictEqual(driver.decided(), [`LeakSuspected ${loan.id}`])
    driver.advance(60_000)
    assert.deepStrictEqual(driver.decided(), [])
    assert.deepStrictEqual([driver.ledger.leaks.total, driver.ledger.leaks.suspected.size], [1, 1])
    driver.release(loan)
    assert.deepStrictEqual(driver.decided(), [`LeakReturned ${loan.id}`])
    assert.deepStrictEqual([driver.ledger.leaks.total, driver.ledger.leaks.suspected.size], [1, 0])
  })

  it("is reported by a look a second: nothing is due before that, and no lease has a timer of its own", () => {
    const driver = driverWith(3)
    const before = driver.engine.wakeAt()
    driver.lease()
    driver.lease()
    assert.strictEqual(driver.engine.wakeAt(), before)
  })

  it("is not the one that has the record afterwards", () => {
    const driver = driverWith(1)
    const loan = driver.borrow()
    driver.advance(11_000)
    driver.decided()
    driver.release(loan)
    driver.decided()
    const next = driver.borrow()
    driver.advance(2000)
    assert.deepStrictEqual(driver.decided(), [])
    driver.release(next)
    assert.deepStrictEqual(driver.decided(), [])
  })

  it("is reported in a pause too, where somebody waits for the last borrower", () => {
    const driver = driverWith(1)
    const loan = driver.borrow()
    driver.pause()
    driver.decided()
    for (let second = 0; second < 11; second++) driver.advance(1000)
    assert.deepStrictEqual(driver.decided(), [`LeakSuspected ${loan.id}`])
  })

  it("that the pool takes back has not come back by itself", () => {
    const driver = driverWith(1)
    driver.lease()
    driver.advance(11_000)
    driver.decided()
    driver.recycle(true)
    assert.notInclude(driver.decided().join(), "LeakReturned")
    assert.strictEqual(driver.ledger.leaks.suspected.size, 0)
  })

  it("is nothing where the threshold is infinite", () => {
    const driver = EngineDriver.withIdle(1, { leakThreshold: Infinity })
    driver.lease()
    driver.advance(10_000_000)
    assert.deepStrictEqual(driver.decided(), [])
  })
})
