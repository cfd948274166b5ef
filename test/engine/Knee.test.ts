/** From how long leases lasted, and how many were in use when they ended, follows where more connections stop helping. */
import { assert, describe, it } from "@effect/vitest"
import { KneeFit } from "../../src/engine/Knee.ts"

/** A server by the Universal Scalability Law: alone it gets 200 leases a second done. */
interface Server {
  readonly contention: number
  readonly coherency: number
}

/** X(N) is highest at N = sqrt((1 - contention) / coherency). */
const servers: ReadonlyArray<Server & { readonly knee: number }> = [
  // sqrt(0.98 / 0.0008) = 35
  { contention: 0.02, coherency: 0.0008, knee: 35 },
  // sqrt(0.95 / 0.002) = 21.8
  { contention: 0.05, coherency: 0.002, knee: 22 },
  // sqrt(0.9 / 0.01) = 9.5
  { contention: 0.1, coherency: 0.01, knee: 9 }
]

const usual: Server = servers[0]!

/** How long a lease lasts with n in use, in milliseconds. */
const holdOf = ({ coherency, contention }: Server, n: number): number =>
  (1000 / 200) * (1 + contention * (n - 1) + coherency * n * (n - 1))

const upTo = (highest: number): ReadonlyArray<number> => Array.from({ length: highest }, (_, index) => index + 1)

/** Random numbers that are the same each time: mulberry32. */
const seeded = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

class Watched {
  readonly fit = new KneeFit()
  now = 0

  /** For so many seconds, twenty leases end with each of these numbers in use. */
  see(seconds: number, sizes: ReadonlyArray<number>, hold: (n: number) => number): this {
    for (let second = 0; second < seconds; second++) {
      for (const n of sizes) for (let lease = 0; lease < 20; lease++) this.fit.note(n, hold(n))
      this.now += 1000
      this.fit.endSecond(this.now)
    }
    return this
  }

  get knee() {
    return this.fit.estimate
  }
}

const watch = (seconds: number, sizes: ReadonlyArray<number>, server = usual): Watched =>
  new Watched().see(seconds, sizes, (n) => holdOf(server, n))

describe("the knee", () => {
  for (const server of servers) {
    it(`of a server with contention ${server.contention} and coherency ${server.coherency} is ${server.knee}`, () => {
      const { knee } = watch(20, upTo(2 * server.knee), server)
      assert.strictEqual(knee?.connections, server.knee)
    })

    it(`is found within a fifth of ${server.knee} where leases last as long as chance has it`, () => {
      const random = seeded(1)
      // Exponential around the mean: as much noise as leases have.
      const hold = (n: number): number => -Math.log(1 - random()) * holdOf(server, n)
      const { knee } = new Watched().see(60, upTo(2 * server.knee), hold)
      assert.approximately(knee?.connections ?? 0, server.knee, server.knee / 5)
    })
  }

  it("comes with what cannot be done side by side, and what each pair costs", () => {
    const { knee } = watch(20, upTo(60))
    assert.approximately(knee!.contention, 0.02, 1e-6)
    assert.approximately(knee!.coherency, 0.0008, 1e-8)
  })

  it("is found from a few sizes", () => {
    assert.strictEqual(watch(20, [1, 10, 30]).knee?.connections, 35)
  })

  it("is not known before the first second is over", () => {
    const fit = new KneeFit()
    for (const n of upTo(60)) fit.note(n, holdOf(usual, n))
    assert.isUndefined(fit.estimate)
  })

  it("is not known where only one size was seen", () => {
    assert.isUndefined(watch(60, [20]).knee)
  })

  it("is not known where only two sizes were seen: they do not tell three unknowns apart", () => {
    assert.isUndefined(watch(60, [10, 20]).knee)
  })

  it("is not known for a server that gets twice as much done with twice as many", () => {
    const { knee } = watch(60, upTo(60), { contention: 0, coherency: 0 })
    assert.isUndefined(knee)
  })

  it("is not known where only the contention makes leases last longer: more never harm", () => {
    const { knee } = watch(60, upTo(60), { contention: 0.05, coherency: 0 })
    assert.isUndefined(knee)
  })

  it("is a guess that is not made, more than four times as far out as was ever in use", () => {
    // 35 > 4 * 8
    assert.isUndefined(watch(60, upTo(8)).knee)
  })
})

describe("the confidence", () => {
  const confidence = (seconds: number, sizes: ReadonlyArray<number>): number =>
    watch(seconds, sizes).knee?.confidence ?? 0

  it("is complete where both sides of the knee were seen for long enough", () => {
    assert.approximately(confidence(20, upTo(60)), 1, 0.01)
  })

  it("rises as what was seen comes closer to the knee", () => {
    const far = confidence(20, upTo(10))
    const near = confidence(20, upTo(20))
    const beyond = confidence(20, upTo(40))
    assert.isBelow(far, near)
    assert.isBelow(near, beyond)
  })

  it("is less where what was seen is close together", () => {
    // From 33 to 37 are 4 of the 35 / 2 that would be wide enough.
    assert.approximately(confidence(20, [33, 35, 37]), 4 / 17.5, 0.01)
  })

  it("rises with time", () => {
    // Ten seconds are long enough.
    assert.approximately(confidence(5, upTo(60)), 0.5, 0.01)
  })

  it("is less where leases last as long as chance has it", () => {
    const random = seeded(2)
    const hold = (n: number): number => holdOf(usual, n) * (0.5 + random())
    assert.isBelow(new Watched().see(20, upTo(60), hold).knee?.confidence ?? 0, confidence(20, upTo(60)))
  })
})

describe("a server whose speed changes", () => {
  /** Leases that last three times as long at the very same sizes. */
  const slower = (n: number): number => 3 * holdOf(usual, n)
  const faster = (n: number): number => holdOf(usual, n) / 3

  for (const [word, hold] of [
    ["slower", slower],
    ["faster", faster]
  ] as const) {
    it(`freezes what was known, when it becomes ${word}`, () => {
      const { knee } = watch(20, upTo(60)).see(1, upTo(60), hold)
      assert.deepStrictEqual([knee?.connections, knee?.isFrozen], [35, true])
    })
  }

  it("does not freeze it where the sizes changed, and the leases with them", () => {
    const { knee } = watch(20, upTo(60)).see(1, [60], (n) => holdOf(usual, n))
    assert.strictEqual(knee?.isFrozen, false)
  })

  it("thaws it when the speed comes back", () => {
    const { knee } = watch(20, upTo(60))
      .see(10, upTo(60), slower)
      .see(1, upTo(60), (n) => holdOf(usual, n))
    assert.deepStrictEqual([knee?.connections, knee?.isFrozen], [35, false])
  })

  it("is frozen for 40 seconds", () => {
    const { knee } = watch(20, upTo(60)).see(40, upTo(60), slower)
    assert.isTrue(knee?.isFrozen)
  })

  it("is forgotten after 40 seconds, and learnt anew", () => {
    const { knee } = watch(20, upTo(60)).see(41, upTo(60), slower)
    // One second of ten.
    assert.isFalse(knee?.isFrozen)
    assert.approximately(knee!.confidence, 0.1, 0.01)
  })

  it("is forgotten where only one size is seen from then on", () => {
    assert.isUndefined(watch(20, upTo(60)).see(41, [20], slower).knee)
  })
})
