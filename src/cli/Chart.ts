/** Numbers as blocks. */
const blocks = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

/** The highest of each so many values, counted from the last one. */
const highest = (values: ReadonlyArray<number>, each: number): ReadonlyArray<number> => {
  const groups: Array<number> = []
  for (let end = values.length; end > 0; end -= each)
    groups.push(Math.max(...values.slice(Math.max(0, end - each), end)))
  return groups.reverse()
}

/**
 * The values as columns of eight heights, the highest of them as the full one. Where there is no room for all, a column shows the
 * highest of several: a peak is what one looks for.
 */
export const sparkline = (values: ReadonlyArray<number>, columns: number): string => {
  if (columns <= 0) return ""
  const shown = highest(values, Math.max(1, Math.ceil(values.length / columns)))
  const top = Math.max(0, ...shown)
  const drawn = shown.map((value) =>
    value <= 0 || top <= 0 ? " " : blocks[Math.min(7, Math.floor((value / top) * 8))]!
  )
  return drawn.join("").padStart(columns)
}

/** One part of a bar: how many, and the sign they are drawn with. */
export interface Part {
  readonly count: number
  readonly sign: string
}

/**
 * The parts against a whole, as signs: each gets its share of the columns, and one for what is there at all, as long as there are
 * enough; together they never take more than there are.
 */
export const bar = (parts: ReadonlyArray<Part>, whole: number, columns: number): ReadonlyArray<string> => {
  const sum = parts.reduce((sum, { count }) => sum + count, 0)
  const most = sum > whole ? sum : whole
  let left = columns
  let others = parts.filter(({ count }) => count > 0).length
  return parts.map(({ count, sign }) => {
    if (count <= 0 || most <= 0) return ""
    others--
    const wanted = Math.max(1, Math.round((count / most) * columns))
    const given = Math.max(0, Math.min(wanted, Math.max(left - others, 1), left))
    left -= given
    return sign.repeat(given)
  })
}
