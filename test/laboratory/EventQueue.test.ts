/** Events come out in the order of their times, whatever was added, moved and taken out before. */
import { assert, describe, it } from "@effect/vitest"
import { EventQueue, Timed } from "../../src/laboratory/EventQueue.ts"
import { Dice } from "../../src/testing/Dice.ts"

class Named extends Timed {
  readonly name: string

  constructor(name: string) {
    super()
    this.name = name
  }
}

/** A queue of events at these times, named by their places in the list, and the events. */
const queueOf = (times: ReadonlyArray<number>): readonly [EventQueue<Named>, ReadonlyArray<Named>] => {
  const queue = new EventQueue<Named>()
  const events = times.map((time, index) => {
    const event = new Named(`${index}`)
    queue.add(event, time)
    return event
  })
  return [queue, events]
}

const taken = (queue: EventQueue<Named>): string => {
  let names = ""
  for (let event = queue.take(); event !== undefined; event = queue.take()) names += event.name
  return names
}

describe("events", () => {
  it("come out by time", () => {
    assert.strictEqual(taken(queueOf([3, 1, 2])[0]), "120")
  })

  it("come out as they were added, at the same time", () => {
    assert.strictEqual(taken(queueOf([1, 0, 1, 1, 0, 1])[0]), "140235")
  })

  it("do not come out once they are taken out", () => {
    const [queue, events] = queueOf([3, 1, 2])
    queue.remove(events[1]!)
    assert.strictEqual(taken(queue), "20")
  })

  it("are taken out once", () => {
    const [queue, events] = queueOf([3, 1, 2])
    queue.remove(events[1]!)
    queue.remove(events[1]!)
    assert.strictEqual(queue.length, 2)
  })

  it("come out at the time they were moved to", () => {
    const [queue, events] = queueOf([3, 1, 2])
    queue.add(events[1]!, 4)
    assert.strictEqual(taken(queue), "201")
  })

  it("come out by time, after much coming and going", () => {
    const dice = new Dice(1)
    const [queue, events] = queueOf(Array.from({ length: 500 }, () => dice.below(100)))
    for (const event of events) {
      const fate = dice.below(3)
      if (fate === 0) queue.remove(event)
      if (fate === 1) queue.add(event, dice.below(100))
    }
    const left = events.filter(({ place }) => place >= 0)
    const expected = left.sort((one, other) => one.at - other.at || one.order - other.order)
    assert.strictEqual(taken(queue), expected.map(({ name }) => name).join(""))
  })
})
