import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { countOf, countWithin, Durations, percentile, since } from "../../src/engine/Durations.js"

const noted = (millis: ReadonlyArray<number>, exact: ReadonlyArray<number> = []): Durations => {
  const durations = new Durations(exact)
  for (const one of millis) durations.note(one)
  return durations
}

describe("durations", () => {
  it("count each once, with their sum and the longest", () => {
    const { max, sum, ...read } = noted([0, 0.05, 3, 3, 40, 10_000_000]).read()
    assert.deepStrictEqual([countOf({ ...read, sum, max }), sum, max], [6, 10_000_046.05, 10_000_000])
    assert.strictEqual(read.counts.at(-1), 1)
  })

  it("are exact at a bound that was asked for", () => {
    const read = noted([4321, 4321.5, 4322], [4321]).read()
    assert.strictEqual(countWithin(read, 4321), 1)
    assert.strictEqual(countOf(read) - countWithin(read, 4321), 2)
  })

  it("take no bound that is none, and no more than they can bear", () => {
    const before = noted([]).read().bounds.length
    assert.strictEqual(noted([], [0, -1, Infinity, Number.NaN]).read().bounds.length, before)
    const many = Array.from({ length: 10_000 }, (_, index) => index + 0.123)
    assert.isAtMost(noted([], many).read().bounds.length, 200)
  })

  it("that are refined keep what was counted, and count exactly from then on", () => {
    const durations = noted([12, 14, 16, 18])
    durations.refine([16.5])
    const read = durations.read()
    assert.strictEqual(countOf(read), 4)
    durations.note(16.4)
    durations.note(16.6)
    const after = since(durations.read(), read)
    assert.strictEqual(countWithin(after, 16.5), 1)
    assert.strictEqual(countOf(after), 2)
  })

  it("are subtracted from later ones, refined meanwhile or not", () => {
    const durations = noted([1, 2, 3])
    const before = durations.read()
    durations.refine([450])
    durations.note(500)
    const after = since(durations.read(), before)
    assert.deepStrictEqual([countOf(after), after.sum, countWithin(after, 450)], [1, 500, 0])
  })

  it.effect("give percentiles that lie between the same two bounds as the exact ones", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 20; round++) {
        const values: Array<number> = []
        const scale = 10 ** (yield* Random.nextIntBetween(0, 4))
        for (let n = 0; n < 2000; n++) values.push(-Math.log(1 - (yield* Random.next)) * scale + 0.2)
        const read = noted(values).read()
        const sorted = values.sort((one, other) => one - other)
        for (const share of [0.5, 0.95, 0.99]) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1]!
          const place = read.bounds.findIndex((bound) => exact <= bound)
          const found = percentile(read, share)
          assert.isAtLeast(found, read.bounds[place - 1] ?? 0, `${share} of ${exact}`)
          assert.isAtMost(found, read.bounds[place]!, `${share} of ${exact}`)
        }
      }
    })
  )

  it("that never happened have percentiles of 0", () => {
    assert.strictEqual(percentile(noted([]).read(), 0.99), 0)
  })
})
