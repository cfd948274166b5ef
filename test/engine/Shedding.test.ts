/** CoDel on the line of waiters, worked by hand: a target of 100 ms, an interval of 500 ms. */
import { assert, describe, it } from "@effect/vitest"
import { Shedding } from "../../src/engine/Shedding.ts"

/** Somebody is the next to be served: when, how long he has waited, and what has come and been served by then. */
interface Turn {
  readonly at: number
  readonly waited: number
  readonly came: number
  readonly served: number
}

class Line {
  readonly shedding = new Shedding({ target: 100, interval: 500 })

  /** Says whether whoever is next is refused. */
  next({ at, came, served, waited }: Turn): boolean {
    return this.shedding.refuses(waited, came, served, at)
  }

  all(turns: ReadonlyArray<Turn>): ReadonlyArray<boolean> {
    return turns.map((turn) => this.next(turn))
  }
}

/** From 0 to 500 the shortest wait is 150 ms, and from there on the line stands. 100 have come, and 50 were served. */
const standing = (): Line => {
  const line = new Line()
  line.all([
    { at: 0, waited: 150, came: 50, served: 20 },
    { at: 250, waited: 300, came: 75, served: 35 },
    { at: 500, waited: 300, came: 100, served: 50 }
  ])
  return line
}

/** Of 100 who came since then 50 were served. */
const overrun = { came: 200, served: 100 }

describe("a line", () => {
  it("refuses nobody in its first interval", () => {
    const line = new Line()
    const turns = [0, 100, 200, 300, 400, 499].map((at) => ({ at, waited: 1000 + at, came: at, served: 0 }))
    assert.notInclude(line.all(turns), true)
  })

  it("refuses nobody at the end of the interval: the first of the next one is served", () => {
    const line = standing()
    assert.isFalse(line.next({ at: 1000, waited: 600, ...overrun }))
  })

  it("that stands refuses who has waited for more than twice the target", () => {
    assert.isTrue(standing().next({ at: 600, waited: 201, ...overrun }))
  })

  it("that stands serves who has waited for twice the target", () => {
    assert.isFalse(standing().next({ at: 600, waited: 200, ...overrun }))
  })

  it("does not stand where the shortest wait of the interval was the target", () => {
    const line = new Line()
    line.next({ at: 0, waited: 150, came: 50, served: 20 })
    line.next({ at: 250, waited: 100, came: 75, served: 35 })
    line.next({ at: 500, waited: 300, came: 100, served: 50 })
    assert.isFalse(line.next({ at: 600, waited: 300, ...overrun }))
  })

  it("no longer stands after an interval in which somebody waited for no longer than the target", () => {
    const line = standing()
    line.next({ at: 600, waited: 90, ...overrun })
    line.next({ at: 1000, waited: 300, came: 400, served: 200 })
    assert.isFalse(line.next({ at: 1001, waited: 300, came: 500, served: 200 }))
  })

  it("stands on, from one interval to the next", () => {
    const line = standing()
    line.next({ at: 1000, waited: 250, ...overrun })
    assert.isTrue(line.next({ at: 1001, waited: 250, ...overrun }))
  })

  it("no longer stands when nobody waits any more", () => {
    const line = standing()
    line.shedding.lineEnded()
    assert.isFalse(line.next({ at: 600, waited: 300, ...overrun }))
  })
})

describe("more than can be served", () => {
  /** Since the line began to stand so many have come, and so many were served. */
  const since = (came: number, served: number): boolean => {
    const line = standing()
    line.next({ at: 600, waited: 150, came: 100 + came, served: 50 + served })
    return line.shedding.isOverloaded
  }

  it("has come when the surplus is greater than chance has it: 4, and twice the root of what came", () => {
    // 4 + 2 * sqrt(100) = 24
    assert.deepStrictEqual([since(100, 76), since(100, 75)], [false, true])
  })

  it("is no small number, at first", () => {
    // 4 + 2 * sqrt(9) = 10 > 9
    assert.isFalse(since(9, 0))
  })

  it("is not what was in line before it stood", () => {
    // 1000 came at once, and none since.
    const line = new Line()
    line.next({ at: 0, waited: 150, came: 1000, served: 0 })
    line.next({ at: 500, waited: 500, came: 1000, served: 50 })
    assert.isFalse(line.next({ at: 600, waited: 600, came: 1000, served: 60 }))
  })

  it("has not come where each that was served comes back", () => {
    assert.isFalse(since(1000, 1000))
  })

  it("refuses nobody where it is so, and the line does not stand", () => {
    const line = new Line()
    line.next({ at: 0, waited: 0, came: 0, served: 0 })
    assert.isFalse(line.next({ at: 1, waited: 300, came: 1000, served: 0 }))
    assert.isFalse(line.shedding.isOverloaded)
  })
})
