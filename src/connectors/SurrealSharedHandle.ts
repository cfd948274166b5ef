/** One socket, or one engine in this process, for all connections of a connector. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SurrealDbError } from "./SurrealError.ts"
import { Handle, type Settings } from "./SurrealHandle.ts"

interface Sharing {
  readonly handle: Handle
  readonly opened: Deferred.Deferred<void, SurrealDbError>
  users: number
}

/**
 * One handle for many connections. Whoever asks while it is being opened waits for the same attempt, and whoever asks after it was
 * lost opens another: a server that comes back sees one newcomer and not one for each connection.
 */
export class SharedHandle {
  private readonly settings: Settings
  /**
   * How long it stays open without a connection. The last connection of a pool may be closed a moment before it is replaced, and
   * with the last handle a database in memory is gone.
   */
  private readonly linger: Duration.Duration
  private current: Sharing | undefined = undefined

  constructor(settings: Settings, linger: Duration.Duration) {
    this.settings = settings
    this.linger = linger
  }

  readonly joined: Effect.Effect<Handle, SurrealDbError, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const { current } = this
      const isNew = current === undefined || current.handle.isLost
      const sharing = isNew ? (this.current = newSharing(this.settings)) : current
      sharing.users++
      const leaving = Effect.addFinalizer(() => this.leave(sharing))
      const waiting = Effect.as(restore(Deferred.await(sharing.opened)), sharing.handle)
      return Effect.andThen(isNew ? Effect.andThen(start(sharing), leaving) : leaving, waiting)
    })
  )

  private leave(sharing: Sharing): Effect.Effect<void> {
    return Effect.suspend(() => {
      sharing.users--
      return Duration.isZero(this.linger)
        ? this.closeUnused(sharing)
        : Effect.asVoid(Effect.forkDetach(Effect.delay(this.closeUnused(sharing), this.linger)))
    })
  }

  private closeUnused(sharing: Sharing): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (sharing.users > 0) return Effect.void
      // Nobody may join what is about to be closed.
      if (this.current === sharing) this.current = undefined
      return sharing.handle.close
    })
  }
}

const newSharing = (settings: Settings): Sharing => ({
  handle: new Handle(settings),
  opened: Deferred.makeUnsafe<void, SurrealDbError>(),
  users: 0
})

/** On a fiber of its own: the first who asks may be the first to give up. When all have, the handle is closed, which ends this. */
const start = ({ handle, opened }: Sharing): Effect.Effect<unknown> =>
  Effect.forkDetach(
    Effect.onExit(handle.opened, (exit) =>
      Effect.sync(() => {
        if (exit._tag === "Failure") handle.destroy()
        Deferred.doneUnsafe(opened, exit)
      })
    )
  )
