/** What an operator asks of a pool, done and noted. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as ConnectionPool from "../ConnectionPool.ts"
import type { PoolClosed, PoolConfigError } from "../PoolError.ts"
import type { Entry } from "../PoolRegistry.ts"
import { Actor } from "./Access.ts"
import { Closed, type PoolApi, Refused } from "./PoolApi.ts"
import { find } from "./PoolRoutes.ts"

type Failure = PoolClosed | PoolConfigError

const refusal = (error: Failure): Closed | Refused =>
  error._tag === "PoolClosed"
    ? new Closed({ detail: "The pool is closing or closed" })
    : new Refused({
        detail: "A value cannot be",
        problems: error.problems.map(({ expected, field, value }) => `${field}: got ${value}, expected ${expected}`)
      })

/** Does it, and notes who has asked for what. What was refused has not been done, and is not noted. */
const act = Effect.fnUntraced(function* <E extends Failure>(
  key: string,
  what: string,
  action: (entry: Entry) => Effect.Effect<string | void, E | Refused>
) {
  const entry = yield* find(key)
  const actor = yield* Actor
  const answer = yield* Effect.mapError(action(entry), (error) =>
    error._tag === "Refused" ? error : refusal(error as Failure)
  )
  yield* ConnectionPool.noteOperatorAction(entry.pool, { actor, action: what })
  return { done: answer ?? what }
})

const changes = (limits: { readonly minConnections?: number; readonly maxConnections?: number }): string =>
  Object.entries(limits)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ")

/** The group `actions` of an API that is `PoolApi`, under whatever prefix. */
export const layer = (api: typeof PoolApi) =>
  HttpApiBuilder.group(api, "actions", (handlers) =>
    handlers
      .handle("resize", ({ params, payload }) =>
        Effect.gen(function* () {
          const { pool } = yield* find(params.pool)
          const { maxConnections, minConnections } = yield* ConnectionPool.status(pool)
          return yield* act(
            params.pool,
            `resize to ${changes(payload) || "what it is"} (was minConnections ${minConnections}, maxConnections ${maxConnections})`,
            (entry) => ConnectionPool.resize(entry.pool, payload)
          )
        })
      )
      .handle("pause", ({ params, payload }) =>
        act(params.pool, `pause: acquires ${payload.acquires ?? "wait"}`, ({ pool }) =>
          ConnectionPool.pause(pool, payload)
        )
      )
      .handle("resume", ({ params }) => act(params.pool, "resume", ({ pool }) => ConnectionPool.resume(pool)))
      .handle("recycle", ({ params, payload }) =>
        act(params.pool, `recycle${payload.interrupt === true ? ", lent connections too" : ""}`, ({ pool }) =>
          ConnectionPool.recycle(pool, payload)
        )
      )
      .handle("evict", ({ params, payload: { connection, interrupt = false } }) =>
        act(params.pool, `evict connection ${connection}${interrupt ? ", lent or not" : ""}`, ({ pool }) =>
          Effect.flatMap(ConnectionPool.evict(pool, connection, { interrupt }), (isThere) =>
            isThere
              ? Effect.void
              : Effect.fail(
                  new Refused({
                    detail: "There is no such connection",
                    problems: [`connection: ${connection} is not there, or is closing`]
                  })
                )
          )
        )
      )
      .handle("check-idle", ({ params }) =>
        act(params.pool, "check what is idle", ({ pool }) =>
          Effect.map(
            ConnectionPool.checkIdle(pool),
            ({ checked, failed, skipped }) => `${checked} checked, ${failed} of them failed, ${skipped} skipped`
          )
        )
      )
      .handle("drain", ({ params, payload: { confirm, deadlineMillis } }) => {
        const deadline = deadlineMillis === undefined ? undefined : Duration.millis(deadlineMillis)
        const text = deadline === undefined ? "drain" : `drain, borrowers may finish for ${Duration.format(deadline)}`
        return act(params.pool, text, ({ pool }) => {
          if (confirm !== params.pool && confirm !== pool.name) {
            return Effect.fail(
              new Refused({ detail: "A drain is for good", problems: ["confirm: expected the name of the pool"] })
            )
          }
          // It ends by its deadline, and whoever asked need not wait for it.
          return Effect.asVoid(Effect.forkDetach(ConnectionPool.drain(pool, deadline), { startImmediately: true }))
        })
      })
      .handle("capture-stacks", ({ params, payload: { minutes } }) =>
        act(
          params.pool,
          minutes === 0 ? "capture no more stacks" : `capture stacks for ${minutes} minutes`,
          ({ pool }) => ConnectionPool.captureStacks(pool, Duration.minutes(minutes))
        )
      )
  )
