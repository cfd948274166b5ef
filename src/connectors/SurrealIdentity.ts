/** How a session is opened on a handle: as who opened the handle, or as somebody else. */
import * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import { hasProperty, isNumber, isString } from "effect/Predicate"
import * as Result from "effect/Result"
import { type AnyAuth, SurrealSession } from "surrealdb"
import { fromDriver, type SurrealDbError } from "./SurrealError.ts"
import type { Handle } from "./SurrealHandle.ts"

const noop = (): void => {}

export type RunPromise = <A, E>(effect: Effect.Effect<A, E>) => Promise<A>

/** Opens a session on a handle. What fails leaves none behind. */
export type OpenSession = (handle: Handle, run: RunPromise) => Promise<SurrealSession>

/** As who opened the handle. The SDK signs it in again before its token expires. */
export const asHandle: OpenSession = async (handle) => {
  const { surreal } = handle
  const forking = surreal!.forkSession()
  const { attached } = handle
  try {
    return await forking
  } catch (error) {
    if (attached !== undefined) await SurrealSession.of(surreal!, attached).closeSession().catch(noop)
    throw error
  }
}

/** A session whose token expires sooner than this after its opening, in milliseconds, is hardly worth it. */
const margin = 60_000

/** Whether a token says that it expires before a time, in milliseconds of the wall clock. */
const expiresBy = (token: string, time: number): boolean => {
  const claims = Result.try((): unknown => JSON.parse(atob(token.split(".")[1] ?? "")))
  return Result.match(claims, {
    onFailure: () => false,
    onSuccess: (said) => hasProperty(said, "exp") && isNumber(said.exp) && said.exp * 1000 < time
  })
}

/** Who sessions are, where that may not be who opened the handle. */
export interface Identity {
  readonly namespace: string
  readonly database: string
  readonly authentication: Effect.Effect<AnyAuth | string, SurrealDbError> | undefined
}

/**
 * As somebody else. Never a copy of another session: where the SDK cannot renew a copy, it signs it in as who opened the handle.
 *
 * One session signs in, and the others take its token for as long as that is taken: a password costs the server tens of
 * milliseconds.
 */
export const asIdentity = ({ authentication, database, namespace }: Identity): OpenSession => {
  const tokens = new WeakMap<Handle, string>()
  const signIn = async (handle: Handle, session: SurrealSession, run: RunPromise): Promise<void> => {
    const token = tokens.get(handle)
    if (token !== undefined && !expiresBy(token, (await run(Clock.currentTimeMillis)) + margin)) {
      const isTaken = await session.authenticate(token).then(
        () => true,
        () => false
      )
      if (isTaken) return
      tokens.delete(handle)
    }
    const credentials = await run(authentication!)
    try {
      await (isString(credentials) ? session.authenticate(credentials) : session.signin(credentials))
    } catch (error) {
      throw fromDriver("session", error, credentials)
    }
    if (session.accessToken !== undefined) tokens.set(handle, session.accessToken)
  }
  return async (handle, run) => {
    const session = await (authentication === undefined ? asHandle(handle, run) : handle.surreal!.newSession())
    try {
      await session.use({ namespace, database })
      if (authentication !== undefined) await signIn(handle, session, run)
      return session
    } catch (error) {
      await session.closeSession().catch(noop)
      throw error
    }
  }
}
