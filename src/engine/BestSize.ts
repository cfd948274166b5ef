/**
 * Which size gets the most done: asked only while a line is standing, when more connections are of no use unless they get more
 * done. Nothing is assumed about the server; sizes are tried, and compared.
 */
import { HouseDecision } from "./HouseDecision.ts"
import type { SizingDecision, SizingWindow } from "./SizingPolicy.ts"

/** What was seen so long ago says nothing about the server of today, in milliseconds. */
const remembered = 60_000

/** Nothing has been seen for so long that it says nothing about now, in milliseconds: an outage, or leases without end. */
const stale = 2000

/** Sizes that differ by less than this factor are taken for the same. */
const sameSize = 1.15

/** Of each size, what was seen in the last so many leases counts: enough to tell, and few enough to notice a change. */
const leasesThatTell = 2500

/** Between two sizes that were tried there may be a better one, if they are further apart than this factor. */
const apart = 1.6

/** Where nothing larger was tried, larger sizes are tried up to this factor. */
const stride = 1.5

/** A difference by this factor at the same size is no chance and no other load. */
const changed = 1.7

/** A quarter more connections that get less than this part of a quarter more done are of no use, if that much is certain. */
const enoughGrowth = 0.25
const flat = 0.25
const certain = 0.1

/** So many standard deviations are no chance. */
const beyondChance = 2

/** What a size got done, over the last times that it was tried. */
interface Tried {
  readonly connections: number
  readonly leases: number
  readonly perSecond: number
}

/**
 * A line is standing, so that more connections are of use only if they get more done. Of the sizes that were tried lately, the
 * best is gone to, if it is better than the present one by more than chance; where the next ones are far away from it, the
 * middle between them is tried.
 */
export const mostDone = (window: SizingWindow): SizingDecision | undefined => {
  const tried = triedSizes(window)
  if (tried.length === 0) return undefined
  const best = tried.reduce((one, other) => (other.perSecond > one.perSecond ? other : one))
  const at = tried.indexOf(best)
  const larger = tried.slice(at + 1).find((size) => isBetter(best, size))
  const isFlat = tried.some((size) => isFlatFrom(size, best) || isFlatFrom(best, size))
  if (larger === undefined && isFlat) return staying(window, tried, best)
  if (larger === undefined) return new Ceiling(window, stride * tried.at(-1)!.connections, best, "trying")
  if (larger.connections > apart * best.connections) {
    return new Ceiling(window, Math.sqrt(larger.connections * best.connections), best, "trying")
  }
  const smaller = tried[at - 1]
  if (smaller !== undefined && best.connections > apart * smaller.connections) {
    return new Ceiling(window, Math.sqrt(smaller.connections * best.connections), best, "trying")
  }
  return staying(window, tried, best)
}

/** The best size; or the present one, if that is as good as far as can be told: to change for nothing is not free. */
const staying = (window: SizingWindow, tried: ReadonlyArray<Tried>, best: Tried): SizingDecision => {
  const present = tried.find(({ connections }) => isSameSize(connections, window.inUse))
  const stays = present !== undefined && !isBetter(best, present)
  return new Ceiling(window, stays ? window.inUse : best.connections, best, "best")
}

/** Smallest first, each with what it got done when it was last tried. */
const triedSizes = ({ capacity, now }: SizingWindow): ReadonlyArray<Tried> => {
  const sizes: Array<Tried> = []
  if (now - (capacity.at(-1)?.at ?? -Infinity) > stale) return sizes
  for (let i = capacity.length - 1; i >= 0; i--) {
    const sample = capacity[i]!
    if (now - sample.at > remembered) break
    const same = sizes.findIndex(({ connections }) => isSameSize(connections, sample.connections))
    if (same < 0) sizes.push(sample)
    else if (isAnotherServer(sizes[same]!, sample)) break
    else if (sizes[same]!.leases < leasesThatTell) sizes[same] = together(sizes[same]!, sample)
  }
  return sizes.sort((one, other) => one.connections - other.connections)
}

/** The same size got far more or far less done: the server's speed has changed, and what was before says nothing about now. */
const isAnotherServer = (one: Tried, other: Tried): boolean =>
  one.perSecond > changed * other.perSecond || other.perSecond > changed * one.perSecond

const together = (one: Tried, other: Tried): Tried => {
  const leases = one.leases + other.leases
  const share = one.leases / leases
  const mean = (a: number, b: number): number => a * share + b * (1 - share)
  return {
    connections: mean(one.connections, other.connections),
    leases,
    perSecond: 1 / mean(1 / one.perSecond, 1 / other.perSecond)
  }
}

const isSameSize = (one: number, other: number): boolean =>
  one < other ? other < one * sameSize : one < other * sameSize

/** From the smaller size to the larger one hardly more got done, as far as can be told for certain. */
const isFlatFrom = (one: Tried, other: Tried): boolean => {
  const growth = other.connections / one.connections - 1
  const gain = other.perSecond / one.perSecond - 1
  return growth > enoughGrowth && uncertainty(one, other) < certain && gain < flat * growth
}

const uncertainty = (one: Tried, other: Tried): number => Math.sqrt(1 / one.leases + 1 / other.leases)

/** It gets more done, by more than chance: leases end at random, so that n of them are known to a part of 1/sqrt(n). */
const isBetter = (one: Tried, other: Tried): boolean =>
  one.perSecond > other.perSecond * (1 + beyondChance * uncertainty(one, other))

class Ceiling extends HouseDecision {
  private readonly best: Tried
  private readonly why: "trying" | "best"

  constructor({ limit, minConnections }: SizingWindow, connections: number, best: Tried, why: "trying" | "best") {
    super(Math.max(1, minConnections, Math.min(limit, Math.round(connections))), true)
    this.best = best
    this.why = why
  }

  get reason(): string {
    const { connections, perSecond } = this.best
    const most = `${Math.round(connections)} got ${Math.round(perSecond)} a second done`
    return this.why === "best" ? `${most}, and more did not` : `${most}; whether ${this.connections} do more is tried`
  }
}
