/**
 * White space, comments and opening parentheses may stand before a statement's first word. A comment with another one in
 * it does not match, and its statement counts as one that leaves something. No part can match what another one does:
 * matching takes linear time, whatever the statement.
 */
const plain =
  /^(?:\s|\(|--[^\n]*(?:\n|$)|\/\*[^*/]*(?:(?:\*(?!\/)|\/(?!\*))[^*/]*)*\*\/)*(?:select|insert|update|delete|merge|values|table|with|show)\b/i

/** What a plain statement may still do to its session. */
const lasting = /\bset_config\b|\bpg_(?:try_)?advisory_|\bpg_temp|\btemp(?:orary)?\b/i

/** How many statements are remembered. Programs have few; one that makes up its SQL must not grow this for ever. */
const maxRemembered = 1000

/** A longer statement is most likely made for the occasion, and expensive to keep. */
const maxRememberedLength = 2000

const remembered = new Map<string, boolean>()

/**
 * Whether a statement may leave something behind in its session: an open transaction, a setting, a lock, a listener, a
 * temporary table. When in doubt it may.
 */
export const leavesSessionState = (sql: string): boolean => {
  const known = remembered.get(sql)
  if (known !== undefined) return known
  const leaves = !plain.test(sql) || lasting.test(sql)
  if (sql.length <= maxRememberedLength) {
    if (remembered.size >= maxRemembered) remembered.clear()
    remembered.set(sql, leaves)
  }
  return leaves
}
