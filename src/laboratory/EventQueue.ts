/** What happens at a time, in order: a binary heap whose events can be moved and taken out again. */

/** Something with a time. It is in at most one queue, and knows its place there, so that taking it out is O(log n). */
export abstract class Timed {
  at = Infinity
  /** Of two events at the same time, the lower number was added first and happens first. */
  order = 0
  /** Where it stands in its queue; -1 while it is in none. */
  place = -1
}

/** An event that knows what happens then. */
export abstract class TimedEvent extends Timed {
  abstract happen(now: number): void
}

const isBefore = (one: Timed, other: Timed): boolean =>
  one.at < other.at || (one.at === other.at && one.order < other.order)

export class EventQueue<E extends Timed> {
  private readonly heap: Array<E> = []
  private added = 0

  get length(): number {
    return this.heap.length
  }

  /** The earliest. */
  get first(): E | undefined {
    return this.heap[0]
  }

  /** Adds an event, or moves it to another time. */
  add(event: E, at: number): void {
    const { place } = event
    event.at = at
    event.order = ++this.added
    if (place < 0) this.rise(event, this.heap.length)
    else this.settle(event, place)
  }

  /** Takes the earliest out. */
  take(): E | undefined {
    const first = this.heap[0]
    if (first !== undefined) this.remove(first)
    return first
  }

  /** Takes an event out, if it is in. */
  remove(event: E): void {
    const { place } = event
    if (place < 0) return
    event.place = -1
    const last = this.heap.pop()!
    if (last !== event) this.settle(last, place)
  }

  /** Puts an event where it belongs, from a place that is free. */
  private settle(event: E, place: number): void {
    const above = (place - 1) >> 1
    if (place > 0 && isBefore(event, this.heap[above]!)) this.rise(event, place)
    else this.sink(event, place)
  }

  private rise(event: E, from: number): void {
    const { heap } = this
    let place = from
    while (place > 0) {
      const above = (place - 1) >> 1
      const other = heap[above]!
      if (!isBefore(event, other)) break
      heap[place] = other
      other.place = place
      place = above
    }
    heap[place] = event
    event.place = place
  }

  private sink(event: E, from: number): void {
    const { heap } = this
    const { length } = heap
    let place = from
    for (let below = 2 * place + 1; below < length; below = 2 * place + 1) {
      if (below + 1 < length && isBefore(heap[below + 1]!, heap[below]!)) below++
      const other = heap[below]!
      if (!isBefore(other, event)) break
      heap[place] = other
      other.place = place
      place = below
    }
    heap[place] = event
    event.place = place
  }
}
