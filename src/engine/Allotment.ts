/**
 * How one budget of connections is shared out between several pools: each has its floor for certain, and what is left goes to
 * those who need it, so that nobody could have more without taking from somebody who has no more than he (max-min fairness;
 * Bertsekas and Gallager, Data Networks, 6.5.2).
 */

/** A pool as the budget sees it. */
export interface Share {
  /** What it has for certain. */
  readonly floor: number
  /** The most it may have, however much is free. */
  readonly max: number
  /** How many connections it could use now. */
  readonly demand: number
  /** How many it has, whatever they are doing: one that is being closed still counts. */
  readonly held: number
  /** How many it may have, as of now. */
  readonly limit: number
  /** When its longest waiter came; of several who are equally poor, the one who has waited longest comes first. */
  readonly waitingSince: number
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, one) => total + one, 0)

const wantOf = ({ demand, floor, max }: Share): number => Math.max(floor, Math.min(demand, max))

const levelled = (share: Share, level: number): number => Math.max(share.floor, Math.min(wantOf(share), level))

const byLongestWait = (shares: ReadonlyArray<Share>): ReadonlyArray<number> =>
  Array.from(shares.keys()).sort((one, other) => shares[one]!.waitingSince - shares[other]!.waitingSince)

/** What each would have in a fair world. No more than it wants, and together no more than the budget. */
export const fairShares = (budget: number, shares: ReadonlyArray<Share>): ReadonlyArray<number> => {
  const wants = shares.map(wantOf)
  if (sum(wants) <= budget) return wants
  const total = (level: number): number => sum(shares.map((share) => levelled(share, level)))
  let level = 0
  for (let above = budget; above > level;) {
    const middle = Math.ceil((level + above) / 2)
    if (total(middle) <= budget) level = middle
    else above = middle - 1
  }
  const fair = shares.map((share) => levelled(share, level))
  let left = budget - sum(fair)
  for (const index of byLongestWait(shares)) {
    if (left <= 0) break
    if (levelled(shares[index]!, level + 1) === fair[index]) continue
    fair[index]!++
    left--
  }
  return fair
}

/**
 * The limits that lead there. Nobody gives anything back before somebody needs it, and nobody is given what another still
 * holds: together the pools never have more connections than the budget, not even for a moment.
 */
export const limitsFor = (
  budget: number,
  shares: ReadonlyArray<Share>,
  fair: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const limits = shares.map(({ limit }) => limit)
  const committed = (): number => sum(shares.map(({ held }, index) => Math.max(held, limits[index]!)))
  let missing = sum(fair.map((one, index) => Math.max(0, one - limits[index]!))) - Math.max(0, budget - committed())
  const take = (index: number, downTo: number): void => {
    const taken = Math.min(Math.max(0, missing), Math.max(0, limits[index]! - downTo))
    limits[index]! -= taken
    missing -= taken
  }
  // First what was only promised, then what has to be closed.
  for (const index of limits.keys()) take(index, Math.max(fair[index]!, shares[index]!.held))
  for (const index of limits.keys()) take(index, fair[index]!)
  let free = budget - committed()
  for (const index of byLongestWait(shares)) {
    const before = Math.max(shares[index]!.held, limits[index]!)
    const after = Math.min(fair[index]!, before + Math.max(0, free))
    if (after <= limits[index]!) continue
    free -= Math.max(0, after - before)
    limits[index] = after
  }
  return limits
}
