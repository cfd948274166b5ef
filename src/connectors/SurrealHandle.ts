/**
 * One open `Surreal` of the SDK: a socket to a server, or an engine in this process. It is given up here when nobody answers,
 * and what its sessions leave behind is written down here, from the requests that they send.
 */
import * as Effect from "effect/Effect"
import { hasProperty, isString } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "node:tls"
import {
  type AnyAuth,
  type CodecOptions,
  createRemoteEngines,
  type Engines,
  type ProvidedAuth,
  type RpcEngine,
  type RpcRequest,
  Surreal,
  type SurrealEngine,
  type Uuid
} from "surrealdb"
import { closed, fromDriver, SurrealDbError } from "./SurrealError.ts"

/** How a handle is opened. */
export interface Settings {
  readonly url: string
  readonly namespace: string
  readonly database: string
  readonly authentication: Effect.Effect<AnyAuth | string, SurrealDbError> | undefined
  readonly engines: Engines | undefined
  readonly websocketImpl: typeof WebSocket | undefined
  readonly ssl: ConnectionOptions | undefined
  readonly versionCheck: boolean
  readonly codecOptions: CodecOptions | undefined
}

/** A server that is well says goodbye in a millisecond or two. */
const patience = "1 second"

/** What a session has sent, as far as it matters for its next borrower. */
export class Ledger {
  /** Its variables, its namespace or database, or who it is, may have been changed. */
  isTouched = false
  /** Requests that have not been answered yet. */
  running = 0
  /** Transactions that were begun and have not ended, and live queries, by their ids. */
  readonly transactions = new Map<string, Uuid>()
  readonly liveQueries = new Map<string, Uuid>()
  /** The session is being ended, or has been: what a late answer adds is taken away too. */
  isEnded = false
  /** Functions of the borrower that are running with the session. */
  using = 0
  /** What is done when the SDK can no longer renew the session's token. */
  onExpiry = (): void => {}

  /** Nothing is left on the server that does not go with the session. */
  get isEmpty(): boolean {
    return this.running === 0 && this.transactions.size === 0 && this.liveQueries.size === 0
  }

  get isClean(): boolean {
    return !this.isTouched && this.isEmpty
  }
}

const touching = new Set(["use", "let", "unset", "signin", "signup", "authenticate", "refresh", "invalidate", "reset"])

const identifying = new Set(["signin", "signup", "authenticate", "refresh"])

/** `ws` has this; the platform's own has not. */
interface Terminable {
  readonly terminate: () => void
}

const isTerminable = (socket: object): socket is Terminable =>
  hasProperty(socket, "terminate") && typeof socket.terminate === "function"

/** Not by its class: `@surrealdb/node` may bring a copy of the SDK of its own. */
const sendsRequests = (engine: SurrealEngine): engine is SurrealEngine & RpcEngine =>
  hasProperty(engine, "send") && typeof engine.send === "function"

export class Handle {
  readonly settings: Settings
  /** Set by `opened`. */
  surreal: Surreal | undefined = undefined
  engine: SurrealEngine | undefined = undefined
  isLost = false
  /** The session that was attached last. A session whose making fails has no other trace. */
  attached: Uuid | undefined = undefined
  private readonly sockets = new Set<WebSocket>()
  private readonly ledgers = new Map<string, Ledger>()
  private readonly listeners = new Set<() => void>()
  /** Why there is no connection: the SDK tells its engines, and nobody else. */
  private problem: unknown = undefined

  constructor(settings: Settings) {
    this.settings = settings
  }

  /**
   * Opens it. The SDK's `connect` may never settle: neither when nobody listens, nor when nobody answers. So its events are
   * heard too, and whoever gives this up ends what was begun.
   */
  readonly opened: Effect.Effect<void, SurrealDbError> = Effect.suspend(() =>
    Effect.flatMap(this.parts, ([websocketImpl, engines, run]) =>
      Effect.callback<void, SurrealDbError>((resume) => {
        const { authentication, codecOptions, database, namespace, url, versionCheck } = this.settings
        if (this.isLost) return resume(Effect.fail(closed("connect")))
        const unsubscribe = this.onLost(() => resume(Effect.fail(this.unreachable())))
        const surreal = new Surreal({
          engines: this.watched(engines),
          ...(websocketImpl === undefined ? {} : { websocketImpl: this.tracked(websocketImpl) }),
          ...(codecOptions === undefined ? {} : { codecOptions })
        })
        this.surreal = surreal
        surreal.subscribe("disconnected", () => this.lose())
        let given: unknown = undefined
        const connected = surreal.connect(url, {
          namespace,
          database,
          versionCheck,
          reconnect: false,
          ...(authentication === undefined
            ? {}
            : {
                authentication: () =>
                  run(authentication).then((credentials) => {
                    given = credentials
                    // The SDK passes any credentials on, and has a type for some of them.
                    return credentials as ProvidedAuth
                  })
              })
        })
        connected.then(
          () => {
            unsubscribe()
            resume(Effect.void)
          },
          (error: unknown) => {
            unsubscribe()
            resume(Effect.fail(fromDriver("connect", error, given)))
            this.destroy()
          }
        )
        return Effect.sync(() => {
          unsubscribe()
          this.destroy()
        })
      })
    )
  )

  private get parts() {
    return Effect.all([websocketOf(this.settings), enginesOf(this.settings), runInContext])
  }

  /** Says goodbye, and does not wait long for an answer. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const { surreal } = this
    if (this.isLost || surreal === undefined || surreal.status !== "connected") return Effect.sync(() => this.destroy())
    const soft = Effect.callback<void>((resume) => {
      this.onLost(() => resume(Effect.void))
      surreal.close().then(
        () => this.lose(),
        () => this.lose()
      )
    })
    return Effect.andThen(
      Effect.timeoutOption(soft, patience),
      Effect.sync(() => this.destroy())
    )
  })

  /** Ends it without a word. The platform's own WebSocket cannot do that: it waits for an answer to its goodbye, and nobody waits for it. */
  destroy(): void {
    for (const socket of this.sockets) {
      if (isTerminable(socket)) socket.terminate()
      else socket.close()
    }
    this.lose()
    this.surreal?.close().catch(() => {})
  }

  /** Calls back once when it is gone, whoever ended it. */
  onLost(listener: () => void): () => void {
    if (this.isLost) listener()
    else this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** What a session has sent since this was asked for the first time or `forget` was called. */
  ledgerOf(session: Uuid | undefined): Ledger {
    const key = String(session)
    const known = this.ledgers.get(key)
    if (known !== undefined) return known
    const ledger = new Ledger()
    this.ledgers.set(key, ledger)
    return ledger
  }

  forget(session: Uuid | undefined): void {
    this.ledgers.delete(String(session))
  }

  /**
   * Cancels a session's transactions and kills its live queries: the server keeps both when the session goes. The first session
   * asks, since the one they belong to may have expired, or be gone. A failure says that there is nothing to end.
   */
  async takeAway({ liveQueries, transactions }: Ledger): Promise<void> {
    const { engine, surreal } = this
    if (engine === undefined || surreal === undefined) return
    const work = [
      ...[...transactions.values()].map((transaction) => engine.cancel(transaction, undefined)),
      ...[...liveQueries.values()].map((live) => surreal.query("KILL $live", { live }).collect())
    ]
    transactions.clear()
    liveQueries.clear()
    await Promise.allSettled(work)
  }

  private lose(): void {
    if (this.isLost) return
    this.isLost = true
    const listeners = [...this.listeners]
    this.listeners.clear()
    for (const listener of listeners) listener()
  }

  private unreachable(): SurrealDbError {
    const { problem } = this
    if (problem === undefined)
      return new SurrealDbError({ operation: "connect", kind: "Unreachable", text: "no server" })
    const { cause, code, text } = fromDriver("connect", problem)
    return new SurrealDbError({
      operation: "connect",
      kind: "Unreachable",
      text,
      ...(code === undefined ? {} : { code }),
      ...(cause === undefined ? {} : { cause })
    })
  }

  /** The same engines, whose errors and requests we see. */
  private watched(engines: Engines): Engines {
    return Object.fromEntries(
      Object.entries(engines).map(([scheme, make]) => [
        scheme,
        (context) => {
          const engine = make(context)
          this.engine = engine
          engine.subscribe("error", (error) => {
            this.problem ??= error
            // An engine in this process that cannot be opened says so here, and nobody else is told.
            if (this.surreal?.status === "connecting") queueMicrotask(() => this.destroy())
          })
          if (!sendsRequests(engine)) {
            throw new Error(
              "this engine hides what its sessions do, as those of `applyDiagnostics`: nobody could clean up after it"
            )
          }
          this.watchRequests(engine)
          return engine
        }
      ])
    )
  }

  /** Everything that any session asks for passes here, whichever method of the SDK it comes from. */
  private watchRequests(engine: RpcEngine): void {
    const send = engine.send.bind(engine) as (request: RpcRequest) => Promise<unknown>
    const watchedSend = (request: RpcRequest): Promise<unknown> => {
      if (request.method === "attach") this.attached = request.session
      if (request.method === "invalidate" && !this.mayInvalidate(request.session)) {
        return Promise.reject(new Error("a session keeps its identity until it is ended"))
      }
      const answer = send(request)
      if (request.method === "ping") {
        // The SDK pings from a timer and waits for nothing: unheard, a failure would end the process.
        answer.catch(() => {})
        return answer
      }
      const ledger = this.ledgers.get(String(request.session))
      if (ledger === undefined) return answer
      if (touching.has(request.method)) ledger.isTouched = true
      ledger.running++
      answer.then(
        (result) => {
          ledger.running--
          noteAnswer(ledger, request, result)
          if (ledger.isEnded) void this.takeAway(ledger)
        },
        () => {
          ledger.running--
          // Nobody has asked for it but the SDK, when the token was about to expire.
          if (identifying.has(request.method) && !ledger.isEnded && ledger.using === 0) ledger.onExpiry()
        }
      )
      return answer
    }
    engine.send = watchedSend as typeof engine.send
  }

  /**
   * The SDK makes a session anonymous whose token it cannot renew, and an engine in this process takes nobody for its owner. Only a
   * borrower may do that, and whoever ends the session.
   */
  private mayInvalidate(session: Uuid | undefined): boolean {
    const ledger = this.ledgers.get(String(session))
    if (ledger !== undefined && (ledger.isEnded || ledger.using > 0)) return true
    ledger?.onExpiry()
    return false
  }

  /** The same WebSocket, which we can end, and which says why it could not connect. */
  private tracked(websocketImpl: typeof WebSocket): typeof WebSocket {
    const { sockets } = this
    const { ssl } = this.settings
    const noteProblem = (event: object): void => {
      const error = hasProperty(event, "error") ? event.error : undefined
      // Node's errors have a code, which the text that the SDK takes from here has not.
      if (error instanceof Error) this.problem ??= error
    }
    return class Tracked extends (websocketImpl as unknown as new (...args: ReadonlyArray<unknown>) => WebSocket) {
      constructor(url: string, protocols: string) {
        super(...(ssl === undefined ? [url, protocols] : [url, protocols, ssl]))
        sockets.add(this)
        this.addEventListener("error", noteProblem)
        this.addEventListener("close", () => sockets.delete(this))
        // The SDK reports an answer it cannot read through this, which `ws` has not: without it, garbage would end the process.
        const end = (): void => this.close()
        if (!hasProperty(this, "dispatchEvent")) Object.assign(this, { dispatchEvent: end })
      }
    } as unknown as typeof WebSocket
  }
}

/** What an answer says of a session's state. A transaction whose commit failed is taken for open: to cancel it costs little. */
const noteAnswer = (ledger: Ledger, { method, params }: RpcRequest, result: unknown): void => {
  if (method === "begin") {
    ledger.transactions.set(String(result), result as Uuid)
  } else if (method === "commit" || method === "cancel") {
    ledger.transactions.delete(String(params?.[0]))
  } else if (method === "query" && Array.isArray(result)) {
    for (const answer of result) {
      if (!hasProperty(answer, "type") || answer.type !== "live" || !hasProperty(answer, "result")) continue
      if (hasProperty(answer, "status") && answer.status !== "OK") continue
      ledger.liveQueries.set(String(answer.result), answer.result as Uuid)
    }
  }
}

/** Runs effects for the SDK, with the services that are here. */
export const runInContext = Effect.map(Effect.context(), (context) => Effect.runPromiseWith(context))

/** Whether a URL is that of a server, and not of an engine in this process. */
export const isRemote = (url: string): boolean => /^wss?:/i.test(url)

/**
 * `ws` where it is installed, since the platform's own WebSocket cannot be ended without the peer's consent, and Node has one only
 * since 22.
 */
const websocketOf = ({ url, websocketImpl }: Settings): Effect.Effect<typeof WebSocket | undefined, SurrealDbError> => {
  if (!isRemote(url) || websocketImpl !== undefined) return Effect.succeed(websocketImpl)
  return Effect.matchEffect(
    Effect.tryPromise(() => import("ws")),
    {
      onSuccess: (ws) => Effect.succeed(ws.WebSocket as unknown as typeof WebSocket),
      onFailure: () =>
        typeof globalThis.WebSocket === "function"
          ? Effect.succeed(globalThis.WebSocket)
          : Effect.fail(
              new SurrealDbError({
                operation: "connect",
                kind: "Driver",
                text: "there is no WebSocket here: install the package ws, or give one as `websocketImpl`"
              })
            )
    }
  )
}

const enginesOf = ({ engines, url }: Settings): Effect.Effect<Engines, SurrealDbError> => {
  if (engines !== undefined) return Effect.succeed(engines)
  if (isRemote(url)) return Effect.sync(createRemoteEngines)
  return Effect.tryPromise({
    try: async () => {
      // The name in a variable: who has no need of this package must be able to compile without it.
      const name: string = "@surrealdb/node"
      const module = (await import(name)) as { readonly createNodeEngines: () => Engines }
      return module.createNodeEngines()
    },
    catch: (error) =>
      new SurrealDbError({
        operation: "connect",
        kind: "Driver",
        text: `no engine for this URL: install the package @surrealdb/node, or give one as \`engines\` (${isString(error) ? error : "it cannot be imported"})`
      })
  })
}

/** Opens a handle for one scope. */
export const openHandle = (settings: Settings): Effect.Effect<Handle, SurrealDbError, Scope.Scope> =>
  Effect.suspend(() => {
    const handle = new Handle(settings)
    // Registered first: what is half open must be closed too.
    return Effect.andThen(
      Effect.addFinalizer(() => handle.close),
      Effect.as(handle.opened, handle)
    )
  })
