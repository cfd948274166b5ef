/** What a statement may do to its connection, as far as its first word says. */

/** Space, comments and empty statements before the first word. */
const firstWord = /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*([a-z]+)/i

const verbs: Readonly<Record<string, Verb>> = {
  select: "read",
  values: "read",
  with: "with",
  explain: "read",
  insert: "write",
  update: "write",
  delete: "write",
  replace: "write",
  begin: "begin",
  savepoint: "control",
  commit: "control",
  end: "control",
  release: "control",
  rollback: "rollback"
}

/**
 * `"with"` may read or write; `"ask"` is a pragma's question after its value. `"other"` is everything that may leave something on the connection: `pragma`, `attach`, `create`,
 * and whatever SQLite may learn.
 */
export type Verb = "read" | "ask" | "with" | "write" | "begin" | "control" | "rollback" | "other"

/** Back to a savepoint: the transaction goes on. */
const toSavepoint = /rollback\s+(?:transaction\s+)?to\b/i

export const verbOf = (sql: string): Verb => {
  const word = firstWord.exec(sql)?.[1]?.toLowerCase()
  if (word === "pragma" && !/[=(]/.test(sql)) return "ask"
  if (word === "rollback" && toSavepoint.test(sql)) return "control"
  return (word !== undefined && Object.hasOwn(verbs, word) && verbs[word]) || "other"
}

/** These ask about what was last written on the connection that they run on. */
const asksOwnWrites = /\b(?:last_insert_rowid|changes|total_changes)\s*\(/i

/**
 * Whether a statement looks as if it only read. It need not be right: a read-only connection refuses a statement that writes,
 * whatever it looks like.
 */
export const looksLikeReading = (sql: string): boolean => {
  const verb = verbOf(sql)
  return (verb === "read" || verb === "with") && !asksOwnWrites.test(sql)
}
