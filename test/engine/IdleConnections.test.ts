/** Idle connections rest in the order in which they should be lent: trusted before doubted, warm before cold. */
import { assert, describe, it } from "@effect/vitest"
import { Connection } from "../../src/engine/Connection.ts"
import { IdleConnections } from "../../src/engine/IdleConnections.ts"

const doubt = 1

const resting = (id: number, restsSince: number, isTrusted: boolean): Connection<string> =>
  Object.assign(new Connection<string>(id, 0, 0), { restsSince, proof: isTrusted ? doubt : doubt - 1 })

const order = (idle: IdleConnections<string>): ReadonlyArray<number> => {
  const ids: Array<number> = []
  for (let connection = idle.warmest; connection !== undefined; connection = connection.colder) ids.push(connection.id)
  return ids
}

/** Connections that have come to rest from the warm end, one at 10, one at 20 and so on, trusted or not. */
const idleConnections = (isTrusted: boolean): IdleConnections<string> => {
  const idle = new IdleConnections<string>()
  for (const id of [1, 2, 3]) idle.addFromWarm(resting(id, 10 * id, isTrusted), doubt)
  return idle
}

describe("a connection that comes to rest", () => {
  it("is the warmest if it was used last", () => {
    assert.deepStrictEqual(order(idleConnections(true)), [3, 2, 1])
  })

  it("passes those that came before it and were used later", () => {
    const idle = idleConnections(true)
    idle.addFromWarm(resting(4, 15, true), doubt)
    assert.deepStrictEqual(order(idle), [3, 2, 4, 1])
  })

  it("rests behind all that are trusted if it is not", () => {
    const idle = idleConnections(true)
    idle.addFromWarm(resting(4, 100, false), doubt)
    assert.deepStrictEqual(order(idle), [3, 2, 1, 4])
  })

  it("rests before all that are not trusted if it is", () => {
    const idle = idleConnections(false)
    idle.addFromWarm(resting(4, 5, true), doubt)
    assert.deepStrictEqual(order(idle), [4, 3, 2, 1])
  })

  it("has its place among those that are not trusted by its warmth", () => {
    const idle = idleConnections(false)
    idle.addFromWarm(resting(4, 15, false), doubt)
    assert.deepStrictEqual(order(idle), [3, 2, 4, 1])
  })

  it("has the same place, from whichever end it comes", () => {
    for (const isTrusted of [true, false]) {
      for (const restsSince of [5, 15, 25, 35]) {
        const [one, other] = [idleConnections(true), idleConnections(true)]
        one.addFromWarm(resting(4, restsSince, isTrusted), doubt)
        other.addFromCold(resting(4, restsSince, isTrusted), doubt)
        assert.deepStrictEqual(order(one), order(other))
      }
    }
  })
})

describe("a connection that leaves", () => {
  it("leaves the others in order, from either end and from the middle", () => {
    const left = [1, 2, 3].map((id) => {
      const idle = idleConnections(true)
      for (let connection = idle.warmest; connection !== undefined; connection = connection.colder) {
        if (connection.id === id) idle.remove(connection)
      }
      return [order(idle), idle.warmest?.id, idle.coldest?.id, idle.length]
    })
    assert.deepStrictEqual(left, [
      [[3, 2], 3, 2, 2],
      [[3, 1], 3, 1, 2],
      [[2, 1], 2, 1, 2]
    ])
  })
})
