/** A session with the server: what the pool knows of it, and what is done between two of its borrowers. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Command } from "ioredis"
import type * as Net from "node:net"
import { mayBlock, sessionEffectOf, takesAway } from "./RedisCommands.ts"
import { type Argument, commandOf, type Opened } from "./RedisClient.ts"
import { isFatal, isReply, type RedisError, toRedisError } from "./RedisError.ts"

/** How long a command may block on after it has been given up, before its connection is destroyed. */
const patience = Duration.seconds(1)

/**
 * A command that took something off the server, after whoever sent it was interrupted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Undelivered {
  /** The name of the command. */
  readonly command: string
  /** Its arguments. */
  readonly args: ReadonlyArray<string>
  /** What the server answered; nothing if the connection was lost before that: it may have taken something or not. */
  readonly reply: Option.Option<unknown>
}

/** What a session needs of its connector. */
export interface Upkeep {
  /** Another connection to the same server, to speak to it while this one is busy. */
  readonly another: Effect.Effect<Opened, RedisError, Scope.Scope>
  readonly onUndelivered: (undelivered: Undelivered) => Effect.Effect<unknown>
  /** Runs what nobody waits for. */
  readonly run: (effect: Effect.Effect<unknown>) => void
}

/** A command's name and its arguments. */
type Sent = readonly [name: string, ...args: ReadonlyArray<Argument>]

/** A command that the pool keeps an eye on until it is answered. */
interface Watched {
  readonly name: string
  readonly command: Command
  readonly mayBlock: boolean
  /** It was sent by the driver's methods: nobody knows whether somebody waits for it. */
  readonly isDrivers: boolean
  isAbandoned: boolean
}

const messageEvents = ["message", "messageBuffer", "pmessage", "pmessageBuffer", "smessage", "smessageBuffer"] as const

export class Session {
  readonly opened: Opened
  readonly socket: Net.Socket
  private readonly upkeep: Upkeep
  private readonly sendToServer: (command: Command) => unknown
  /** A reset would have something to do. */
  private isDirty = false
  /** No reset would help. */
  private isBroken = false
  private isInTransaction = false
  private isWatching = false
  private readonly unanswered = new Set<Watched>()
  /** Closed while the server is being told to end what blocks the connection. */
  private readonly unblocked = Latch.makeUnsafe(true)
  private isUnblocking = false
  /** Open unless a command that was given up is the one that blocks the connection. */
  private readonly free = Latch.makeUnsafe(true)

  constructor(opened: Opened, socket: Net.Socket, upkeep: Upkeep) {
    const { client } = opened
    const sendCommand = client.sendCommand.bind(client)
    this.opened = opened
    this.socket = socket
    this.upkeep = upkeep
    this.sendToServer = (command) => sendCommand(command)
    // Everything that is sent comes through here: the driver's methods, its pipelines and transactions too.
    client.sendCommand = (command, stream) => {
      this.note(command, true)
      return sendCommand(command, stream)
    }
  }

  /** What a lease has left behind, without asking the server. */
  get state(): "clean" | "dirty" | "broken" {
    if (this.isBroken || this.socket.destroyed) return "broken"
    const isAsNew = !this.isDirty && !this.isInTransaction && !this.isWatching && !this.isBlocking
    if (isAsNew) return "clean"
    // Without the third protocol the driver keeps books on subscriptions that a reset would not bring in order.
    return this.opened.client.condition?.protocol === 3 ? "dirty" : "broken"
  }

  /** A command may keep the connection, or is just being ended. */
  get isBlocking(): boolean {
    return this.isUnblocking || this.isBlocked
  }

  /** Completes when the connection ends, whoever ends it. */
  readonly closed: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.socket.destroyed) return resume(Effect.void)
    const onClose = () => resume(Effect.void)
    this.socket.once("close", onClose)
    return Effect.sync(() => this.socket.off("close", onClose))
  })

  private get isBlocked(): boolean {
    return this.blocking !== undefined
  }

  /** The command that the server is at, of those that may block: it takes them in the order in which they were sent. */
  private get blocking(): Watched | undefined {
    for (const watched of this.unanswered) if (watched.mayBlock) return watched
    return undefined
  }

  private get isHeldUp(): boolean {
    return this.blocking?.isAbandoned === true
  }

  /**
   * Sends a borrower's command. What blocks the connection is about to end, or the connection is.
   *
   * @param ends what an interruption waits for: nothing, or the end of the command on the server.
   */
  send(
    name: string,
    args: ReadonlyArray<Argument>,
    ends: "at once" | "on the server"
  ): Effect.Effect<unknown, RedisError> {
    const attempt = Effect.callback<unknown, RedisError>((resume) => {
      const command = commandOf(name, args)
      const watched = this.note(command, false)
      this.answer(command, resume)
      if (watched === undefined && ends === "at once") return
      const abandon = Effect.sync(() => watched && this.abandon([watched]))
      return ends === "at once" ? abandon : Effect.andThen(abandon, answered(command))
    })
    return Effect.suspend(() => (this.isUnblocking ? Effect.andThen(this.unblocked.await, attempt) : attempt))
  }

  /** Hands the driver's own client out. */
  use<A>(f: (client: Opened["client"], signal: AbortSignal) => PromiseLike<A>): Effect.Effect<A, RedisError> {
    return Effect.callback<A, RedisError>((resume, signal) => {
      const { client, lost } = this.opened
      // At once: what is interrupted now must not begin later, on somebody else's connection. It may throw as well as reject.
      new Promise<A>((resolve) => resolve(f(client, signal))).then(
        (result) => resume(Effect.succeed(result)),
        (error: unknown) => resume(Effect.fail(toRedisError(error, lost())))
      )
      return Effect.sync(() => this.abandonDrivers())
    })
  }

  /** Sends commands in one write, so that nothing comes in between, and gives what became of each. */
  sendAll(commands: ReadonlyArray<Sent>): Effect.Effect<ReadonlyArray<Result.Result<unknown, RedisError>>> {
    return Effect.callback((resume) => {
      const answers = this.write(commands, (command) => this.note(command, false))
      void Promise.allSettled(answers).then((settled) =>
        resume(
          Effect.succeed(
            settled.map((answer, index) =>
              answer.status === "fulfilled"
                ? Result.succeed(answer.value)
                : Result.fail(toRedisError(answer.reason, this.opened.lost(), commands[index]?.[0]))
            )
          )
        )
      )
    })
  }

  /** Sends commands of the pool's own, past the books. */
  private upkeepCommands(commands: ReadonlyArray<Sent>): Effect.Effect<void, RedisError> {
    return Effect.callback<void, RedisError>((resume) => {
      Promise.all(this.write(commands, () => {})).then(
        () => resume(Effect.void),
        (error: unknown) => resume(Effect.fail(toRedisError(error, this.opened.lost())))
      )
      // Whoever gives up the pool's work on a session wants the session no more: its answer may never come.
      return Effect.sync(() => this.socket.destroy())
    })
  }

  private write(commands: ReadonlyArray<Sent>, each: (command: Command) => void): ReadonlyArray<Promise<unknown>> {
    // Made before the first is sent: one that cannot be made must not leave the others half sent.
    const made = commands.map(([name, ...args]) => commandOf(name, args))
    this.socket.cork()
    for (const command of made) {
      each(command)
      this.sendToServer(command)
    }
    this.socket.uncork()
    return made.map(({ promise }) => promise as Promise<unknown>)
  }

  /** One round trip. A server that refuses it is alive. */
  readonly check: Effect.Effect<void, RedisError> = Effect.suspend(() =>
    Effect.catchIf(
      this.upkeepCommands([["PING"]]),
      (error) => !isFatal(error),
      () => Effect.void
    )
  )

  /**
   * One round trip. A server that is still loading its data greets everybody, and answers nothing else. The driver has asked for
   * the name with a command that a user may lack the right to, and keeps the refusal to itself; here it needs none.
   */
  readonly ready: Effect.Effect<void, RedisError> = Effect.suspend(() => {
    const { client, target } = this.opened
    const isNamed = target.clientName !== "" && client.condition?.protocol === 3
    const naming: ReadonlyArray<Sent> = isNamed ? [["HELLO", "3", "SETNAME", target.clientName]] : []
    return Effect.catchIf(
      this.upkeepCommands([...naming, ["PING"]]),
      (error) => !isFatal(error) && error.code !== "LOADING",
      () => Effect.void
    )
  })

  /** As it was when it was opened: in the one round trip of a pipeline, when nothing blocks it. */
  readonly reset: Effect.Effect<void, RedisError> = Effect.suspend(() => {
    const { credentials, target } = this.opened
    const { password, username = "default" } = credentials
    const secret = password === undefined ? "" : Redacted.value(password)
    const hasCredentials = password !== undefined || credentials.username !== undefined
    const greeting: Sent = [
      "HELLO",
      "3",
      ...(hasCredentials ? ["AUTH", username, secret] : []),
      ...(target.clientName === "" ? [] : ["SETNAME", target.clientName])
    ]
    const select = target.database === 0 ? [] : [["SELECT", target.database] as const]
    return Effect.andThen(
      this.settle,
      Effect.map(
        Effect.suspend(() => this.upkeepCommands([["RESET"], greeting, ...select])),
        () => this.asNew()
      )
    )
  })

  /** Ends what still blocks the connection. Its lease is over, so nobody waits for the answer. */
  readonly settle: Effect.Effect<void> = Effect.suspend(() => {
    this.abandon([...this.unanswered].filter(({ isAbandoned }) => !isAbandoned))
    return this.isUnblocking
      ? Effect.onInterrupt(this.unblocked.await, () => Effect.sync(() => this.socket.destroy()))
      : Effect.void
  })

  private asNew(): void {
    const { client } = this.opened
    this.isDirty = false
    this.isInTransaction = false
    this.isWatching = false
    for (const event of messageEvents) client.removeAllListeners(event)
  }

  private answer(command: Command, resume: (answer: Effect.Effect<unknown, RedisError>) => void): void {
    this.sendToServer(command)
    command.promise.then(
      (reply: unknown) => resume(Effect.succeed(reply)),
      (error: unknown) => resume(Effect.fail(toRedisError(error, this.opened.lost(), command.name)))
    )
  }

  /** Takes down what a command does to the session. Commands run in the order in which they are sent. */
  private note(command: Command, isDrivers: boolean): Watched | undefined {
    const { args, promise } = command
    const name = command.name.toUpperCase()
    switch (sessionEffectOf(name, args)) {
      case "nothing":
        break
      case "dirties":
        this.isDirty = true
        break
      case "breaks":
        this.isBroken = true
        break
      case "multi":
        this.isInTransaction = true
        break
      case "exec":
      case "discard":
        this.isInTransaction = false
        this.isWatching = false
        this.dirtyIfRefused(promise)
        break
      case "watch":
        this.isWatching = true
        break
      case "unwatch":
        this.isWatching = false
        this.dirtyIfRefused(promise)
        break
    }
    // In a transaction nothing blocks, and nothing is taken before its end.
    if (this.isInTransaction) return undefined
    const blocks = mayBlock(name, args)
    return blocks || takesAway(name, args) ? this.watch(name, command, blocks, isDrivers) : undefined
  }

  /** The server may forbid a command that ends a transaction, which then goes on. */
  private dirtyIfRefused(promise: Promise<unknown>): void {
    promise.then(
      () => {},
      () => {
        this.isDirty = true
      }
    )
  }

  private watch(name: string, command: Command, mayBlock: boolean, isDrivers: boolean): Watched {
    const watched: Watched = { name, command, mayBlock, isDrivers, isAbandoned: false }
    this.unanswered.add(watched)
    const answered = (reply: Option.Option<unknown>) => {
      this.unanswered.delete(watched)
      if (!this.isHeldUp) this.free.openUnsafe()
      else this.unblock()
      if (watched.isAbandoned && takesAway(name, command.args)) this.reportUndelivered(watched, reply)
    }
    command.promise.then(
      (reply: unknown) => answered(Option.some(reply)),
      // What the server refused, it did not do. An answer that was lost may have been any.
      (error: unknown) => answered(isReply(error) ? refused : Option.none())
    )
    return watched
  }

  private reportUndelivered({ command, name }: Watched, reply: Option.Option<unknown>): void {
    if (Option.isSome(reply) && isNothing(reply.value)) return
    const args = command.args.map(String)
    this.upkeep.run(this.upkeep.onUndelivered({ command: name, args, reply }))
  }

  private abandonDrivers(): void {
    this.abandon([...this.unanswered].filter(({ isDrivers }) => isDrivers))
  }

  private abandon(abandoned: ReadonlyArray<Watched>): void {
    for (const watched of abandoned) watched.isAbandoned = true
    if (this.isHeldUp) this.unblock()
  }

  private unblock(): void {
    if (this.isUnblocking) return
    this.isUnblocking = true
    this.free.closeUnsafe()
    this.unblocked.closeUnsafe()
    const ended = Effect.sync(() => {
      this.isUnblocking = false
      this.unblocked.openUnsafe()
    })
    this.upkeep.run(
      Effect.ensuring(
        Effect.catchCause(this.endBlocking, () => this.destroy),
        ended
      )
    )
  }

  private readonly destroy = Effect.sync(() => {
    this.socket.destroy()
  })

  /**
   * Tells the server, over another connection, to answer at once. That may reach it before the command does: so it is told
   * again until the command is answered.
   */
  private readonly endBlocking: Effect.Effect<void, unknown> = Effect.suspend(() => {
    const id = this.opened.id()
    if (id === undefined) return this.destroy
    const command = ["UNBLOCK", String(id), "TIMEOUT"] as const
    const told = Effect.flatMap(this.upkeep.another, ({ client }) =>
      Effect.tryPromise(() => client.call("CLIENT", ...command)).pipe(
        Effect.andThen(Effect.raceFirst(this.free.await, Effect.sleep("5 millis"))),
        Effect.repeat({ until: () => !this.isHeldUp }),
        Effect.asVoid
      )
    )
    // It may be answered by itself, or its connection be closed, before the other one is open.
    return Effect.timeout(Effect.raceFirst(Effect.scoped(told), this.free.await), patience)
  })
}

/** The server is done with it, whatever it says, or the connection is lost. */
const answered = ({ promise }: Command): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const end = () => resume(Effect.void)
    promise.then(end, end)
  })

const refused = Option.some(null)

/** Answers that took nothing away: there was nothing, or only a place in a transaction. */
const isNothing = (reply: unknown): boolean =>
  reply === null || reply === undefined || (Array.isArray(reply) && reply.length === 0)
