import { assert, describe, it } from "@effect/vitest"
import { fairShares, limitsFor, type Share } from "../../src/engine/Allotment.ts"
import { Dice } from "../../src/testing/Dice.ts"

const share = (given: Partial<Share> = {}): Share => ({
  floor: 0,
  max: Infinity,
  demand: 0,
  held: 0,
  limit: 0,
  waitingSince: Infinity,
  ...given
})

const demanding = (...demands: ReadonlyArray<number>): ReadonlyArray<Share> =>
  demands.map((demand) => share({ demand }))

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, one) => total + one, 0)

describe("fair shares", () => {
  it("give all what they want where there is enough", () => {
    assert.deepStrictEqual(fairShares(10, demanding(3, 5, 2)), [3, 5, 2])
  })

  it("give the modest what they want, and the others as much as one another", () => {
    assert.deepStrictEqual(fairShares(10, demanding(2, 20, 9)), [2, 4, 4])
  })

  it("leave nobody below his floor, however much the others want", () => {
    assert.deepStrictEqual(
      fairShares(10, [share({ floor: 4 }), share({ demand: 50 }), share({ demand: 50 })]),
      [4, 3, 3]
    )
  })

  it("count the floor towards what somebody gets", () => {
    assert.deepStrictEqual(fairShares(10, [share({ floor: 4, demand: 50 }), share({ demand: 50 })]), [5, 5])
  })

  it("give nobody more than his maximum", () => {
    assert.deepStrictEqual(fairShares(10, [share({ demand: 50, max: 2 }), share({ demand: 50 })]), [2, 8])
  })

  it("give what cannot be divided to those who have waited longest", () => {
    const shares = [30, 10, 20].map((waitingSince) => share({ demand: 9, waitingSince }))
    assert.deepStrictEqual(fairShares(11, shares), [3, 4, 4])
  })

  it("give one each to those who have waited longest where there are more pools than connections", () => {
    const shares = [30, 10, 20].map((waitingSince) => share({ demand: 1, waitingSince }))
    assert.deepStrictEqual(fairShares(2, shares), [0, 1, 1])
  })
})

const limits = (budget: number, shares: ReadonlyArray<Share>): ReadonlyArray<number> =>
  limitsFor(budget, shares, fairShares(budget, shares))

describe("limits", () => {
  it("take nothing from anybody before somebody needs it", () => {
    assert.deepStrictEqual(
      limits(10, [share({ limit: 8, held: 8, demand: 1 }), share({ limit: 2, demand: 2 })]),
      [8, 2]
    )
  })

  it("give what is free", () => {
    assert.deepStrictEqual(limits(10, [share({ limit: 4, held: 4, demand: 4 }), share({ demand: 5 })]), [4, 5])
  })

  it("take what was only promised before what would have to be closed", () => {
    const open = share({ limit: 4, held: 4, demand: 0 })
    const promised = share({ limit: 6, held: 1, demand: 1 })
    assert.deepStrictEqual(limits(10, [open, promised, share({ demand: 3 })]), [4, 3, 3])
  })

  it("give nothing that another still holds, and take it from him", () => {
    assert.deepStrictEqual(limits(4, [share({ limit: 4, held: 4, demand: 4 }), share({ demand: 4 })]), [2, 0])
  })

  it("give it when he has closed it", () => {
    assert.deepStrictEqual(limits(4, [share({ limit: 2, held: 3, demand: 4 }), share({ demand: 4 })]), [2, 1])
  })

  it("never promise more than the budget, nor less than a floor, whatever the pools look like", () => {
    const dice = new Dice(7)
    for (let round = 0; round < 5_000; round++) {
      const budget = 1 + dice.below(20)
      let left = budget
      let promised = budget
      const shares = Array.from({ length: 1 + dice.below(6) }, () => {
        const floor = dice.below(Math.min(3, promised) + 1)
        promised -= floor
        const limit = Math.max(floor, dice.below(left + 1))
        const held = dice.below(limit + 1)
        left = Math.max(0, left - Math.max(limit, held))
        return share({
          floor,
          limit,
          held,
          demand: dice.below(25),
          max: floor + dice.below(20),
          waitingSince: dice.below(9)
        })
      })
      const before = sum(shares.map(({ held, limit }) => Math.max(held, limit)))
      if (before > budget) continue
      const fair = fairShares(budget, shares)
      const given = limitsFor(budget, shares, fair)
      const after = sum(shares.map(({ held }, index) => Math.max(held, given[index]!)))
      assert.isAtMost(sum(fair), budget, `${budget}: ${JSON.stringify(shares)}`)
      assert.isAtMost(after, budget, `${budget}: ${JSON.stringify(shares)}`)
      shares.forEach(({ floor, limit }, index) => assert.isAtLeast(given[index]!, Math.min(floor, limit)))
    }
  })
})
