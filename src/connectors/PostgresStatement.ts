/**
 * White space, comments and opening parentheses may stand before a statement's first word. A comment with another one in
 * it does not match, and its statement counts as one that leaves something. No part can match what another one does:
 * matching takes linear time, whatever the statement.
 */
const plain =
  /^(?:\s|\(|--[^\n]*(?:\n|$)|\/\*[^*/]*(?:(?:\*(?!\/)|\/(?!\*))[^*/]*)*\*\/)*(?:select|insert|update|delete|merge|values|table|with|show)\b/i

/**
 * What begins and ends a transaction, and nothing else besides: in a text of several statements another one may hide.
 * `and chain` begins the next one, and a name is a word of letters, digits and underscores here.
 */
const transactionMode =
  "(?:isolation\\s+level\\s+(?:serializable|repeatable\\s+read|read\\s+(?:un)?committed)|read\\s+(?:only|write)|(?:not\\s+)?deferrable)"
const begin = new RegExp(
  `^\\s*(?:begin(?:\\s+(?:work|transaction))?|start\\s+transaction)(?:\\s+${transactionMode}(?:(?:\\s*,\\s*|\\s+)${transactionMode})*)?\\s*;?\\s*$`,
  "i"
)
const end = /^\s*(?:commit|end|rollback|abort)(?:\s+(?:work|transaction))?(?:\s+and\s+no\s+chain)?\s*;?\s*$/i
const savepoint =
  /^\s*(?:savepoint|release(?:\s+savepoint)?|rollback(?:\s+(?:work|transaction))?\s+to(?:\s+savepoint)?)\s+\w+\s*;?\s*$/i

/** None of these is longer. Some of the patterns take quadratic time, which must not matter. */
const longestOfTransactions = 200

/** What a plain statement may still do to its session. */
const lasting = /\bset_config\b|\bpg_(?:try_)?advisory_|\bpg_temp|\btemp(?:orary)?\b/i

/** How many statements are remembered. Programs have few; one that makes up its SQL must not grow this for ever. */
const maxRemembered = 1000

/** A longer statement is most likely made for the occasion, and expensive to keep. */
const maxRememberedLength = 2000

/**
 * What a statement does to its session.
 *
 * - `nothing` that outlasts the transaction it is in, or itself.
 * - `begins`, `ends`: a transaction, if it succeeds. A savepoint does nothing that the end of its transaction leaves.
 * - `lasts`: it may leave a setting, a lock, a listener, a temporary table. When in doubt it may.
 */
export type SessionEffect = "nothing" | "begins" | "ends" | "lasts"

/** The same verdicts, each found once for the statements that are asked about again and again. */
export const remembering = <V>(judge: (sql: string) => V): ((sql: string) => V) => {
  const remembered = new Map<string, V>()
  return (sql) => {
    const known = remembered.get(sql)
    if (known !== undefined) return known
    const verdict = judge(sql)
    if (sql.length <= maxRememberedLength) {
      if (remembered.size >= maxRemembered) remembered.clear()
      remembered.set(sql, verdict)
    }
    return verdict
  }
}

const judge = (sql: string): SessionEffect => {
  if (plain.test(sql)) return lasting.test(sql) ? "lasts" : "nothing"
  if (sql.length > longestOfTransactions) return "lasts"
  if (begin.test(sql)) return "begins"
  if (end.test(sql)) return "ends"
  return savepoint.test(sql) ? "nothing" : "lasts"
}

export const sessionEffectOf: (sql: string) => SessionEffect = remembering(judge)
