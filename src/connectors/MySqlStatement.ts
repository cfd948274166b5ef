/**
 * White space, comments and opening parentheses may stand before a statement's first word. No part can match what another
 * one does: matching takes linear time, whatever the statement.
 */
const plain =
  /^(?:\s|\(|(?:--\s|#)[^\n]*(?:\n|$)|\/\*[^*/]*(?:(?:\*(?!\/)|\/(?!\*))[^*/]*)*\*\/)*(?:select|insert|update|delete|replace|values|table|with|show|explain|describe|desc|do)\b/i

const begin =
  /^\s*(?:begin(?:\s+work)?|start\s+transaction(?:\s+(?:with\s+consistent\s+snapshot|read\s+only|read\s+write)(?:\s*,\s*(?:with\s+consistent\s+snapshot|read\s+only|read\s+write))*)?)\s*;?\s*$/i
/** `and chain` begins the next transaction, and `release` ends the session: neither is meant here. */
const commit = /^\s*commit(?:\s+work)?(?:\s+and\s+no\s+chain)?(?:\s+no\s+release)?\s*;?\s*$/i
const rollback = /^\s*rollback(?:\s+work)?(?:\s+and\s+no\s+chain)?(?:\s+no\s+release)?\s*;?\s*$/i
const savepoint =
  /^\s*(?:savepoint|release\s+savepoint|rollback(?:\s+work)?\s+to(?:\s+savepoint)?)\s+(?:\w+|`\w+`)\s*;?\s*$/i

/** None of these is longer. Some of the patterns take quadratic time, which must not matter. */
const longestOfTransactions = 200

/**
 * What a plain statement may still do to its session: set a variable (`@a := 1`, `into @a`), take a lock, make a temporary
 * table. A comment with an exclamation mark is no comment, and behind a semicolon another statement may hide.
 */
const lasting = /(?<!@)@(?!@)|\bget_lock\b|\btemporary\b|\/\*M?!|;(?!\s*$)/i

const use = /^\s*use\b/i

/** How many statements are remembered. Programs have few; one that makes up its SQL must not grow this for ever. */
const maxRemembered = 1000

/** A longer statement is most likely made for the occasion, and expensive to keep. */
const maxRememberedLength = 2000

/**
 * What a statement does to its session.
 *
 * - `nothing` that outlasts the transaction it is in, or itself.
 * - `begins`, `commits`, `rollsBack`: a whole transaction. A savepoint does nothing that the end of its transaction leaves.
 * - `moves` to another database.
 * - `lasts`: it may leave a setting, a variable, a lock, a temporary table. When in doubt it may.
 */
export type SessionEffect = "nothing" | "begins" | "commits" | "rollsBack" | "moves" | "lasts"

const remembered = new Map<string, SessionEffect>()

export const sessionEffectOf = (sql: string): SessionEffect => {
  const known = remembered.get(sql)
  if (known !== undefined) return known
  const effect = judge(sql)
  if (sql.length <= maxRememberedLength) {
    if (remembered.size >= maxRemembered) remembered.clear()
    remembered.set(sql, effect)
  }
  return effect
}

const judge = (sql: string): SessionEffect => {
  if (plain.test(sql)) return lasting.test(sql) ? "lasts" : "nothing"
  if (use.test(sql)) return "moves"
  if (sql.length > longestOfTransactions) return "lasts"
  if (begin.test(sql)) return "begins"
  if (commit.test(sql)) return "commits"
  if (rollback.test(sql)) return "rollsBack"
  return savepoint.test(sql) ? "nothing" : "lasts"
}
