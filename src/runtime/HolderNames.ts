import type * as Fiber from "effect/Fiber"
import type { Lease } from "../engine/Lease.ts"
import type { Holder } from "../PoolError.ts"

/** What an operator can find again: the fiber's number, and the operation whose span or `Effect.fn` it is in. */
export const holderName = (holder: unknown): string => {
  const fiber = holder as Fiber.Fiber<unknown, unknown> | undefined
  if (fiber === undefined) return "an unknown fiber"
  const { span, stackFrame } = fiber.cache
  const operation = span?._tag === "Span" ? span.name : stackFrame?.name
  return operation === undefined ? `fiber #${fiber.id}` : `fiber #${fiber.id} (${operation})`
}

/** A lease in words and numbers. */
export const holderOf = (lease: Lease<unknown>, now: number): Holder => ({
  holder: holderName(lease.holder),
  connection: lease.connection.id,
  lease: lease.id,
  heldForMillis: Math.max(0, Math.round(now - lease.since))
})
