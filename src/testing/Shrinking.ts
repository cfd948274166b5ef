/**
 * Leaves out of a list whatever is not needed for it to fail: large pieces first, then ever smaller ones (Zeller's delta
 * debugging, without its complements). Asks no more than `attempts` times.
 */
export const shrink = <X>(
  items: ReadonlyArray<X>,
  fails: (items: ReadonlyArray<X>) => boolean,
  attempts: number
): ReadonlyArray<X> => {
  let kept = items
  let left = attempts
  for (let size = Math.ceil(items.length / 2); size >= 1 && left > 0;) {
    let isSmaller = false
    for (let from = 0; from < kept.length && left > 0;) {
      const without = [...kept.slice(0, from), ...kept.slice(from + size)]
      left--
      if (fails(without)) {
        kept = without
        isSmaller = true
      } else from += size
    }
    if (size === 1 && !isSmaller) break
    // What could not be left out before may be able to now.
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  return kept
}
