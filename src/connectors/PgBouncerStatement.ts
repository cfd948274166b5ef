/**
 * What a statement does to the server connection that a proxy in transaction mode lends for it. Whatever outlasts the
 * transaction stays on that connection, where the next one to borrow it from the proxy finds it: another program, most
 * likely.
 */
import { remembering, type SessionEffect } from "./PostgresStatement.ts"

/** The kinds of state that a server session keeps beyond a transaction. */
export const sessionStates = [
  "setting",
  "listener",
  "prepared statement",
  "temporary object",
  "advisory lock",
  "cursor",
  "library"
] as const

export type SessionState = (typeof sessionStates)[number]

/** Why a statement is not sent: what it would leave behind, and its own words without any of its literals. */
export interface Refusal {
  readonly state: SessionState
  readonly words: string
}

export type Verdict = SessionEffect | Refusal

/** Where a quoted part ends, from after its opening quote; a doubled quote stands for itself. */
const endOfQuoted = (sql: string, from: number, quote: string, hasEscapes: boolean): number => {
  for (let i = from; i < sql.length; i++) {
    if (hasEscapes && sql[i] === "\\") i++
    else if (sql[i] === quote && sql[i + 1] === quote) i++
    else if (sql[i] === quote) return i + 1
  }
  return sql.length
}

const endOfLine = (sql: string, from: number): number => {
  const end = sql.indexOf("\n", from)
  return end < 0 ? sql.length : end
}

/** PostgreSQL's comments may hold others. */
const endOfComment = (sql: string, from: number): number => {
  let depth = 1
  for (let i = from; i < sql.length; i++) {
    if (sql.startsWith("*/", i)) {
      i++
      if (--depth === 0) return i + 1
    } else if (sql.startsWith("/*", i)) {
      i++
      depth++
    }
  }
  return sql.length
}

const dollarQuote = /\$(?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/iy
const isWordCharacter = (character: string | undefined): boolean => character !== undefined && /[\w$]/.test(character)
const isEscapeString = (sql: string, quote: number): boolean =>
  /e/i.test(sql[quote - 1] ?? "") && !isWordCharacter(sql[quote - 2])

/** What stands for a part that is no statement's word, and where the part ends; nothing for a part that is one. */
const partAt = (sql: string, at: number): { readonly end: number; readonly as: string } | undefined => {
  const character = sql[at]
  if (character === "'") return { end: endOfQuoted(sql, at + 1, "'", isEscapeString(sql, at)), as: "''" }
  if (character === '"') {
    const end = endOfQuoted(sql, at + 1, '"', false)
    const name = sql.slice(at + 1, end - 1)
    // A function may be called by its quoted name.
    return { end, as: /^\w+$/.test(name) ? name : '""' }
  }
  if (character === "-" && sql[at + 1] === "-") return { end: endOfLine(sql, at), as: " " }
  if (character === "/" && sql[at + 1] === "*") return { end: endOfComment(sql, at + 2), as: " " }
  if (character !== "$" || isWordCharacter(sql[at - 1])) return undefined
  dollarQuote.lastIndex = at
  const tag = dollarQuote.exec(sql)?.[0]
  if (tag === undefined) return undefined
  const close = sql.indexOf(tag, at + tag.length)
  return { end: close < 0 ? sql.length : close + tag.length, as: "''" }
}

/** The statement's own words: without comments, and with empty literals. Takes linear time. */
const wordsOf = (sql: string): string => {
  let words = ""
  let from = 0
  for (let at = 0; at < sql.length;) {
    const part = partAt(sql, at)
    if (part === undefined) at++
    else {
      words += sql.slice(from, at) + part.as
      at = part.end
      from = at
    }
  }
  return (words + sql.slice(from)).trim()
}

/** `explain analyze` runs what it explains. */
const explain = /^explain\b(?:\s*\([^()]*\)|\s+(?:analyze|analyse|verbose)\b)*\s*/i
const setForTransaction = /^set\s+(?:local|transaction|constraints)\b/i
const temporary = /^create\s+(?:or\s+replace\s+)?(?:(?:global|local)\s+)?temp(?:orary)?\b|^create\b.*\bpg_temp\s*\./is
const dropsOnCommit = /\bon\s+commit\s+drop\b/i
const intoTemporary =
  /\binto\s+(?:(?:global|local)\s+)?temp(?:orary)?\s+(?:table\s+)?(?!(?:select|values|default|overriding|as|with|table)\b)[\w"]/i
const sessionLock = /\bpg_(?:try_)?advisory_(?:un)?lock\w*\s*\(/i
const setConfig = /\bset_config\s*\(/gi
/** Only a literal `true` says for sure that the setting ends with the transaction. */
const localSetConfig = /\bset_config\s*\([^()]*,\s*true\s*\)/gi

const countOf = (words: string, pattern: RegExp): number => words.match(pattern)?.length ?? 0

/** What it would leave on the server connection beyond its transaction, if that can be seen. */
const stateLeftBy = (first: string, words: string): SessionState | undefined => {
  switch (first) {
    case "set":
      return setForTransaction.test(words) ? undefined : "setting"
    case "reset":
    // It would forget the state of whichever server connection it meets.
    case "discard":
      return "setting"
    case "listen":
    case "unlisten":
      return "listener"
    case "prepare":
      return /^prepare\s+transaction\b/i.test(words) ? undefined : "prepared statement"
    case "execute":
    case "deallocate":
      return "prepared statement"
    case "load":
      return "library"
    case "declare":
      return /\bwith\s+hold\b/i.test(words) ? "cursor" : undefined
    case "create":
      if (temporary.test(words) && !dropsOnCommit.test(words)) return "temporary object"
      if (/\bas\s+execute\b/i.test(words)) return "prepared statement"
      break
    case "select":
    case "with":
      if (intoTemporary.test(words)) return "temporary object"
      break
  }
  if (sessionLock.test(words)) return "advisory lock"
  return countOf(words, setConfig) > countOf(words, localSetConfig) ? "setting" : undefined
}

/** What it does to the transaction. Only `and chain` ends one and begins another in the same breath. */
const transactionEffect = (first: string, words: string): SessionEffect => {
  switch (first) {
    case "begin":
    case "start":
      return "begins"
    case "prepare":
      return "ends"
    case "commit":
    case "end":
    case "rollback":
    case "abort":
      if (/^\w+\s+(?:(?:work|transaction)\s+)?to\b|^\w+\s+prepared\b/i.test(words)) return "nothing"
      return /\band\s+chain\b/i.test(words) ? "lasts" : "ends"
    default:
      return "nothing"
  }
}

/** Enough of a statement to find it by. */
const shortest = 60

const judge = (sql: string): Verdict => {
  const words = wordsOf(sql).replace(explain, "")
  const first = /^[\s(]*([a-z]+)/i.exec(words)?.[1]?.toLowerCase() ?? ""
  const state = stateLeftBy(first, words)
  if (state === undefined) return transactionEffect(first, words)
  const text = words.replaceAll(/\s+/g, " ")
  return { state, words: text.length > shortest ? `${text.slice(0, shortest)}...` : text }
}

/** What a statement does behind a proxy in transaction mode; or why it must not be sent there. */
export const verdictOn: (sql: string) => Verdict = remembering(judge)
