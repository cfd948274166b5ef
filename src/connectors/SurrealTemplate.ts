/** Who the sessions of a connector are: the first of them on each handle, which signs in, and of which the others are copies. */
import type * as Effect from "effect/Effect"
import { isString } from "effect/Predicate"
import type { AnyAuth, SurrealSession } from "surrealdb"
import { fromDriver, type SurrealDbError } from "./SurrealError.ts"
import type { Handle } from "./SurrealHandle.ts"

const noop = (): void => {}

/** The session of a handle that all others are copies of. No borrower ever has it. */
export type Template = (handle: Handle, run: RunPromise) => Promise<SurrealSession>

type RunPromise = <A, E>(effect: Effect.Effect<A, E>) => Promise<A>

/** The handle's own: who opened it is who everybody is. */
export const handleTemplate: Template = (handle) => Promise.resolve(handle.surreal!)

/** Who sessions are, where that is not who opened the handle. */
export interface Identity {
  readonly namespace: string
  readonly database: string
  readonly authentication: Effect.Effect<AnyAuth | string, SurrealDbError> | undefined
}

/**
 * A first session for an identity on each handle, signed in once: a password costs the server tens of milliseconds, and a copy
 * takes the token.
 */
export const templateFor = ({ authentication, database, namespace }: Identity): Template => {
  const firsts = new WeakMap<Handle, Promise<SurrealSession>>()
  const open = async ({ surreal }: Handle, run: RunPromise): Promise<SurrealSession> => {
    // Who is nobody of his own is who opened the handle.
    const session = await (authentication === undefined ? surreal!.forkSession() : surreal!.newSession())
    try {
      await session.use({ namespace, database })
      if (authentication !== undefined) await signIn(session, await run(authentication))
    } catch (error) {
      await session.closeSession().catch(noop)
      throw error
    }
    return session
  }
  return (handle, run) => {
    const known = firsts.get(handle)
    if (known !== undefined) return known
    const opening = open(handle, run)
    firsts.set(handle, opening)
    const forget = (): void => {
      if (firsts.get(handle) === opening) firsts.delete(handle)
    }
    // The next one who asks signs in again: a secret may have been rotated, and a token may have expired.
    opening.then((session) => {
      session.subscribe("auth", (tokens) => {
        if (tokens !== null) return
        forget()
        session.closeSession().catch(noop)
      })
    }, forget)
    return opening
  }
}

const signIn = async (session: SurrealSession, credentials: AnyAuth | string): Promise<unknown> => {
  try {
    return await (isString(credentials) ? session.authenticate(credentials) : session.signin(credentials))
  } catch (error) {
    throw fromDriver("session", error, credentials)
  }
}
