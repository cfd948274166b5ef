/** What a server that takes connections and drops them looks like, and what is mere chance. */
import { assert, describe, it } from "@effect/vitest"
import { Outages } from "../../src/engine/Outage.ts"

/** So many connections have died at this moment, just opened; says whether the last was taken for a failed attempt. */
const deaths = (outages: Outages, count: number, now: number): boolean => {
  let isDrop = false
  for (let death = 0; death < count; death++) isDrop = outages.isDrop(now, now)
  return isDrop
}

/** An outage that has lasted from one time to another. */
const outage = (outages: Outages, from: number, to: number): void => {
  outages.fail(undefined, from)
  outages.end(to)
}

describe("a connection that dies young", () => {
  it("is chance twice, and a failed attempt the third time", () => {
    const outages = new Outages()
    assert.deepStrictEqual([deaths(outages, 2, 0), deaths(outages, 1, 0)], [false, true])
  })

  it("is one that has lived for less than a second", () => {
    const outages = new Outages()
    deaths(outages, 2, 5000)
    assert.deepStrictEqual([outages.isDrop(4500, 5500), outages.isDrop(4501, 5500)], [false, true])
  })

  it("is forgotten 10 seconds later", () => {
    const outages = new Outages()
    deaths(outages, 2, 0)
    assert.isFalse(deaths(outages, 1, 10_000))
  })

  it("is not forgotten before that", () => {
    const outages = new Outages()
    deaths(outages, 2, 0)
    assert.isTrue(deaths(outages, 1, 9999))
  })

  it("is not forgotten while there is an outage", () => {
    const outages = new Outages()
    deaths(outages, 2, 0)
    outages.fail(undefined, 1)
    assert.isTrue(deaths(outages, 1, 20_000))
  })

  it("is not forgotten within a second of an outage", () => {
    const outages = new Outages()
    deaths(outages, 2, 0)
    outage(outages, 1, 20_000)
    assert.isTrue(deaths(outages, 1, 20_999))
  })

  it("is forgotten when an outage begins long after it", () => {
    const outages = new Outages()
    deaths(outages, 2, 0)
    outage(outages, 20_000, 20_100)
    assert.isFalse(deaths(outages, 1, 20_200))
  })
})

describe("a server", () => {
  it("is steady until something is known against it", () => {
    assert.isTrue(new Outages().isSteady(0))
  })

  it("is steady again a second after an outage, and no earlier", () => {
    const outages = new Outages()
    outage(outages, 0, 10_000)
    assert.deepStrictEqual([outages.isSteady(10_999), outages.isSteady(11_000)], [false, true])
  })

  it("is as steady as before when a connection opens without an outage", () => {
    const outages = new Outages()
    outages.end(0)
    assert.isTrue(outages.isSteady(0))
  })

  it("drops what it takes from the third early death until a second after it has let somebody in", () => {
    const outages = new Outages()
    deaths(outages, 3, 0)
    outage(outages, 0, 100)
    assert.deepStrictEqual([outages.isDropping(1099), outages.isDropping(1100)], [true, false])
  })

  it("is not said to drop what it takes after two", () => {
    const outages = new Outages()
    deaths(outages, 2, 0)
    outage(outages, 0, 100)
    assert.isFalse(outages.isDropping(101))
  })
})

describe("an attempt", () => {
  it("may not be made when there is no outage to end", () => {
    const outages = new Outages()
    outages.probeMayBeMade(0)
    assert.strictEqual(outages.current, undefined)
  })

  it("that could have been made and was not takes its delay from what speaks for hopelessness", () => {
    const outages = new Outages()
    outages.look(0, 0)
    outages.fail(undefined, 0)
    outages.probeMayBeMade(10)
    outages.probe(50)
    assert.strictEqual(outages.hopelessSince(), 40)
  })

  it("takes none while a connection was still usable", () => {
    const outages = new Outages()
    outages.fail(undefined, 0)
    outages.probeMayBeMade(10)
    outages.look(0, 45)
    outages.probe(50)
    assert.strictEqual(outages.hopelessSince(), 50)
  })
})
