import { assert, describe, it } from "@effect/vitest"
import { waitOf, waitProbability } from "../../src/advisor/ErlangC.ts"
import { holdTime } from "../../src/advisor/HoldTime.ts"

/** Erlang's C as it is written in books, which overflows soon. */
const textbook = (servers: number, load: number): number => {
  const term = (n: number): number => (n === 0 ? 1 : (term(n - 1) * load) / n)
  const top = (term(servers) * servers) / (servers - load)
  let sum = top
  for (let n = 0; n < servers; n++) sum += term(n)
  return top / sum
}

/** A queue with lognormal hold times and so many leases, acquire by acquire: the mean and the 99th percentile of the wait. */
const simulate = (arrivalRate: number, p50: number, p95: number, servers: number): readonly [number, number] => {
  let seed = 42
  const uniform = () => {
    seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32
    return (seed + 0.5) / 2 ** 32
  }
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  const sigma = Math.log(p95 / p50) / 1.645
  const freeAt = new Float64Array(servers)
  const waits = new Float64Array(300_000)
  let now = 0
  for (let i = 0; i < waits.length; i++) {
    now += (-Math.log(uniform()) * 1000) / arrivalRate
    let first = 0
    for (let server = 1; server < servers; server++) if (freeAt[server]! < freeAt[first]!) first = server
    const start = Math.max(now, freeAt[first]!)
    waits[i] = start - now
    freeAt[first] = start + p50 * Math.exp(sigma * normal())
  }
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
  return [mean, waits.sort()[Math.floor(waits.length * 0.99)]!]
}

describe("Erlang's C", () => {
  it("is the load of one server", () => assert.closeTo(waitProbability(1, 0.5), 0.5, 1e-12))

  it("is 1/3 for two servers and a load of 1", () => assert.closeTo(waitProbability(2, 1), 1 / 3, 1e-12))

  it("is 0.409 for ten servers and a load of 8", () => assert.closeTo(waitProbability(10, 8), 0.409, 0.0005))

  it("is the sum in the books, wherever that can be computed", () => {
    for (const [servers, load] of [
      [3, 2.5],
      [9, 5],
      [40, 31],
      [100, 99]
    ] as const)
      assert.closeTo(waitProbability(servers, load), textbook(servers, load), 1e-9)
  })

  it("is 1 where the load is not carried, and 0 without a load", () => {
    assert.strictEqual(waitProbability(5, 5), 1)
    assert.strictEqual(waitProbability(5, 9), 1)
    assert.strictEqual(waitProbability(5, 0), 0)
  })

  it("stays a probability for 10,000 servers, as square-root staffing foretells it", () => {
    // Halfin and Whitt: with c = a + 1.5 √a it tends to 1 / (1 + 1.5 Φ(1.5) / φ(1.5)) = 0.0846.
    assert.closeTo(waitProbability(10_000, 9851.1), 0.0846, 0.002)
    assert.isAtMost(waitProbability(10_000, 5000), 1e-9)
    assert.isAtLeast(waitProbability(10_000, 5000), 0)
  })
})

describe("the wait", () => {
  it("of one exponential server is that of M/M/1: ρ / (1 - ρ) holds", () => {
    const wait = waitOf(1, { load: 0.5, meanHoldMillis: 100, variability: 1 })
    assert.closeTo(wait?.mean ?? NaN, 100, 1e-9)
    assert.closeTo(wait?.p99 ?? NaN, (100 / 0.5) * Math.log(0.5 / 0.01), 1e-9)
  })

  it("is half of that where all leases last equally long", () =>
    assert.closeTo(waitOf(1, { load: 0.5, meanHoldMillis: 100, variability: 0 })?.mean ?? NaN, 50, 1e-9))

  it("is that of a simulated queue with lognormal hold times, to within a fifth", () => {
    for (const [arrivalRate, p50, p95, servers] of [
      [200, 20, 80, 7],
      [200, 20, 80, 10],
      [1600, 20, 60, 43],
      [1, 400, 800, 2]
    ] as const) {
      const { meanMillis, variability } = holdTime(p50, p95)
      const wait = waitOf(servers, { load: (arrivalRate * meanMillis) / 1000, meanHoldMillis: meanMillis, variability })
      const [mean, p99] = simulate(arrivalRate, p50, p95, servers)
      assert.closeTo((wait?.mean ?? NaN) / mean, 1, 0.2)
      assert.closeTo((wait?.p99 ?? NaN) / p99, 1, 0.2)
    }
  })

  it("is without end where the load is not carried", () =>
    assert.isUndefined(waitOf(4, { load: 4, meanHoldMillis: 100, variability: 1 })))
})

describe("the hold time", () => {
  it("is that of the lognormal distribution through p50 and p95", () => {
    const { meanMillis, variability } = holdTime(20, 80)
    const variance = (Math.log(4) / 1.645) ** 2
    assert.closeTo(meanMillis, 20 * Math.exp(variance / 2), 1e-9)
    assert.closeTo(meanMillis, 28.5, 0.05)
    assert.closeTo(variability, Math.exp(variance) - 1, 1e-9)
  })

  it("does not vary where p50 and p95 are the same", () =>
    assert.deepStrictEqual(holdTime(20, 20), { meanMillis: 20, variability: 0 }))

  it("is taken as exponential without a p95", () =>
    assert.deepStrictEqual(holdTime(20, undefined), { meanMillis: 20, variability: 1 }))
})
