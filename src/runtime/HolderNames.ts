/**
 * Who holds or waits, so that an operator can find it again: the fiber's number, its operation, and where in the sources that is.
 * Kept for free with each lease (one reference, taken when it begins), and put into words only for those who ask.
 */
import type * as Fiber from "effect/Fiber"
import type { StackFrame } from "effect/References"
import type { AnySpan } from "effect/Tracer"
import type { Lease } from "../engine/Lease.ts"
import type { Holder } from "../PoolError.ts"

/** What is current in a fiber: its span and stack frame among others. Made anew by Effect for each change, so it may be kept. */
export type Place = Fiber.Fiber.Cache

/** The span of an acquire, where there is one: it says nothing about who borrows. */
export const acquireSpan = "pool.acquire"

/** So many operations around one another are told. */
const deepestPath = 4

/** Whatever a program calls its operations, a line stays a line. */
const longestName = 120

const shortened = (name: string): string => {
  const line = name.replaceAll(/[\s\p{Cc}]+/gu, " ")
  return line.length > longestName ? `${line.slice(0, longestName - 1)}…` : line
}

/** What `Effect.fn` calls the frame of its definition, beside that of the call. */
const definition = " (definition)"

/** The innermost frame that says something about the borrower. */
const frameOf = ({ stackFrame }: Place): StackFrame | undefined =>
  stackFrame?.name === acquireSpan ? stackFrame.parent : stackFrame

const namesOf = (place: Place): ReadonlyArray<string> => {
  const { span } = place
  const names: Array<string> = []
  for (let frame = frameOf(place); frame !== undefined && names.length < deepestPath;) {
    if (!frame.name.endsWith(definition)) names.push(shortened(frame.name))
    frame = frame.parent
  }
  if (names.length > 0) return names
  for (let outer: AnySpan | undefined = span; outer?._tag === "Span" && names.length < deepestPath;) {
    if (outer.name !== acquireSpan) names.push(shortened(outer.name))
    outer = outer.parent._tag === "Some" ? outer.parent.value : undefined
  }
  return names
}

/** `src/report.ts:88:21`: the end of the path is enough to find it, and says nothing about the machine. */
const sourcePlace = (frame: StackFrame | undefined): string | undefined => {
  const found = /([^\s()]+):(\d+):(\d+)\)?\s*$/.exec(frame?.stack()?.split("\n")[0] ?? "")
  if (found === null) return undefined
  const [, path = "", line, column] = found
  return `${path.split(/[/\\]/).slice(-3).join("/")}:${line}:${column}`
}

/** What is to be said of where somebody borrows; less where there is neither a span nor an `Effect.fn`. */
export const whereabouts = (place: Place | undefined) => {
  if (place === undefined) return {}
  const names = namesOf(place)
  const [operation] = names
  const where = sourcePlace(frameOf(place))
  const trace = place.span?.traceId
  return {
    ...(operation !== undefined && { operation, path: names.join(" < ") }),
    ...(where !== undefined && { place: where }),
    ...(trace !== undefined && { trace })
  }
}

/** What is counted together. */
export const operationOf = (place: Place | undefined): string => {
  if (place === undefined) return unnamed
  return namesOf(place)[0] ?? unnamed
}

const unnamed = "(no operation: name it with Effect.fn or withSpan)"

/** The fiber, and its operation if it has one. */
export const holderName = (holder: unknown, place?: Place): string => {
  const fiber = holder as Fiber.Fiber<unknown, unknown> | undefined
  if (fiber === undefined) return "an unknown fiber"
  const { operation } = whereabouts(place ?? fiber.cache)
  return operation === undefined ? `fiber #${fiber.id}` : `fiber #${fiber.id} (${operation})`
}

/** Its fiber has ended, and has left the lease behind in a scope. */
export const hasEnded = (holder: unknown): boolean =>
  (holder as Fiber.Fiber<unknown, unknown> | undefined)?.pollUnsafe() !== undefined

/** A lease in words and numbers. */
export const holderOf = (lease: Lease<unknown>, now: number, suspected?: ReadonlySet<unknown>): Holder => {
  const { connection, holder, id, since } = lease
  const place = lease.place as Place | undefined
  const fiber = (holder as Fiber.Fiber<unknown, unknown> | undefined)?.id
  const stack = stacks.get(lease)
  return {
    holder: holderName(holder, place),
    connection: connection.id,
    lease: id,
    heldForMillis: Math.max(0, Math.round(now - since)),
    ...whereabouts(place),
    ...(fiber !== undefined && { fiber }),
    ...(suspected?.has(lease) === true && { isLeakSuspected: true }),
    ...(stack !== undefined && stack.lease === id && { stack: stackText(stack.error) })
  }
}

/** The stacks of leases that began while somebody wanted them. They go with the records they belong to. */
const stacks = new WeakMap<Lease<unknown>, { readonly lease: number; readonly error: Error }>()

/** The frames of a captured stack that are told. */
const framesCaptured = 8

/** Notes where a lease was borrowed: some microseconds, so only while an operator asks for it. */
export const captureStack = (lease: Lease<unknown>): void => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = framesCaptured * 2
  stacks.set(lease, { lease: lease.id, error: new Error("borrowed") })
  Error.stackTraceLimit = stackTraceLimit
}

/** Without what Effect and the pool themselves do. */
const stackText = ({ stack = "" }: Error): string =>
  stack
    .split("\n")
    .slice(1)
    .filter((line) => !/[/\\](effect|effect-pool)[/\\](src|dist)[/\\]/.test(line))
    .slice(0, framesCaptured)
    .map((line) => line.trim())
    .join("\n")
