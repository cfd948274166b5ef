import type { CloseReason, Connection } from "./Connection.ts"

/** The limits on a connection's life. Durations are milliseconds. */
export interface RetirementLimits {
  readonly idleTimeout: number
  readonly maxUses: number
}

/** Why a connection that nobody holds must not be lent again; `undefined` if it may. */
export const retirementReason = <A>(
  connection: Connection<A>,
  limits: RetirementLimits,
  now: number
): CloseReason | undefined => {
  if (connection.condemned !== undefined) return connection.condemned
  if (connection.uses >= limits.maxUses) return "maxUses"
  return now >= connection.expiresAt ? "maxLifetime" : undefined
}

/** Nobody has needed it for `idleTimeout`. */
export const isIdleTooLong = <A>(connection: Connection<A>, limits: RetirementLimits, now: number): boolean =>
  now - connection.usedAt >= limits.idleTimeout
