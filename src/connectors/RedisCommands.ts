/** What a command leaves behind on its connection, and what becomes of its answer when nobody waits for it any more. */

/**
 * - `dirties`: it leaves something behind that a reset takes away.
 * - `breaks`: afterwards the driver and the server do not speak the same language, or do not speak at all.
 * - the others begin and end a transaction, and what it depends on.
 */
export type SessionEffect = "nothing" | "dirties" | "breaks" | "multi" | "exec" | "discard" | "watch" | "unwatch"

const effects = new Map<string, SessionEffect>([
  ["MULTI", "multi"],
  ["EXEC", "exec"],
  ["DISCARD", "discard"],
  ["WATCH", "watch"],
  ["UNWATCH", "unwatch"],
  ["SELECT", "dirties"],
  ["SUBSCRIBE", "dirties"],
  ["PSUBSCRIBE", "dirties"],
  ["SSUBSCRIBE", "dirties"],
  ["AUTH", "dirties"],
  ["RESET", "dirties"],
  ["READONLY", "dirties"],
  ["READWRITE", "dirties"],
  ["ASKING", "dirties"],
  // Another protocol than the driver's, lines that answer no command, or a session that ends.
  ["HELLO", "breaks"],
  ["MONITOR", "breaks"],
  ["SYNC", "breaks"],
  ["PSYNC", "breaks"],
  ["REPLCONF", "breaks"],
  ["QUIT", "breaks"]
])

/** Questions and orders about other connections: the only ones of `CLIENT` that leave this connection as it was. */
const harmlessClientCommands = new Set([
  "ID",
  "INFO",
  "LIST",
  "GETNAME",
  "GETREDIR",
  "TRACKINGINFO",
  "KILL",
  "UNBLOCK",
  "PAUSE",
  "UNPAUSE",
  "HELP"
])

const wordOf = (argument: unknown): string => String(argument).toUpperCase()

export const sessionEffectOf = (name: string, args: ReadonlyArray<unknown>): SessionEffect => {
  if (name === "CLIENT") {
    const word = wordOf(args[0])
    // Without replies the driver takes the next command's answer for this one's.
    if (word === "REPLY") return "breaks"
    return harmlessClientCommands.has(word) ? "nothing" : "dirties"
  }
  if (name === "SCRIPT" && wordOf(args[0]) === "DEBUG") return "breaks"
  return effects.get(name) ?? "nothing"
}

/** They may hold the connection for as long as they like. */
const blocking = new Set([
  "BLPOP",
  "BRPOP",
  "BLMPOP",
  "BRPOPLPUSH",
  "BLMOVE",
  "BZPOPMIN",
  "BZPOPMAX",
  "BZMPOP",
  "WAIT",
  "WAITAOF"
])

export const mayBlock = (name: string, args: ReadonlyArray<unknown>): boolean =>
  blocking.has(name) ||
  ((name === "XREAD" || name === "XREADGROUP") && args.some((argument) => wordOf(argument) === "BLOCK"))

/** What they answer with is no longer on the server: an answer that nobody receives is lost. */
const taking = new Set([
  "BLPOP",
  "BRPOP",
  "BLMPOP",
  "BZPOPMIN",
  "BZPOPMAX",
  "BZMPOP",
  "LPOP",
  "RPOP",
  "LMPOP",
  "SPOP",
  "ZPOPMIN",
  "ZPOPMAX",
  "ZMPOP",
  "GETDEL"
])

export const takesAway = (name: string, args: ReadonlyArray<unknown>): boolean =>
  // Entries of a group stay on its list of what is pending, unless it is told to do without.
  taking.has(name) || (name === "XREADGROUP" && args.some((argument) => wordOf(argument) === "NOACK"))
