/**
 * Texts of others, as they may be shown: without secrets, on one line, and no longer than somebody reads. A driver's error often
 * repeats the URL it was given, password and all, and from there it would reach logs, status, metrics and the console.
 */
import { hasProperty, isError, isString } from "effect/Predicate"

const longest = 500

const hidden = "<redacted>"

/** Each with what is left of it. */
const secrets: ReadonlyArray<readonly [RegExp, string]> = [
  // scheme://user:password@host, up to the last @ of the authority or of a password that has one itself
  [/\b([a-z][a-z\d+.-]*:\/\/)[^\s"'<>`/?#]*(?:[^\s"'<>`]*@|@)/gi, `$1${hidden}@`],
  [/\b(bearer|basic)\s+[\w~+/.=-]{4,}/gi, `$1 ${hidden}`],
  [
    /(\b[\w-]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|credentials?))(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"'&,;)}\]]+)/gi,
    `$1$2${hidden}`
  ]
]

export const redacted = (text: string): string => {
  // Cut first: what follows looks at every place of the text.
  const cut = text.length > 4 * longest ? text.slice(0, 4 * longest) : text
  let shown = cut.replaceAll(/[\s\p{Cc}]+/gu, " ").trim()
  for (const [secret, replacement] of secrets) shown = shown.replaceAll(secret, replacement)
  return shown.length > longest ? `${shown.slice(0, longest - 1)}…` : shown
}

/** The connector's own error, unless what it says has a secret in it: then one that says the same without. */
export const presentable = (error: unknown): unknown => (hasSecret(error, 0) ? withoutSecret(error) : error)

/** How far the causes of an error are followed. */
const deepest = 6

/** Looks where an error keeps its words, and nowhere else: one may carry a whole client with it. */
const hasSecret = (error: unknown, depth: number): boolean => {
  if (isString(error)) return holdsSecret(error)
  if (depth > deepest || typeof error !== "object" || error === null) return false
  // The stack repeats the message; its places in the sources are no secrets, whatever they are called.
  const words = [...(isError(error) ? [error.message] : []), ...Object.values(error).filter(isString)]
  return words.some(holdsSecret) || ["cause", "reason"].some((key) => hasSecret(memberOf(error, key), depth + 1))
}

const memberOf = (error: object, key: string): unknown => (hasProperty(error, key) ? error[key] : undefined)

const holdsSecret = (text: string): boolean => secrets.some(([secret]) => text.search(secret) >= 0)

const withoutSecret = (error: unknown): Error => {
  const shown = new Error(redacted(isError(error) ? error.message : String(error)))
  if (!isError(error)) return shown
  shown.name = error.name
  // Where it was made says nothing about the secret, once its first line is gone.
  shown.stack = [`${error.name}: ${shown.message}`, ...(error.stack ?? "").split("\n").filter(isFrame)].join("\n")
  for (const key of ["_tag", "code"]) {
    if (hasProperty(error, key) && isString(error[key])) Object.assign(shown, { [key]: redacted(error[key]) })
  }
  return shown
}

const isFrame = (line: string): boolean => /^\s+at /.test(line)
