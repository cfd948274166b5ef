/** One client of the driver on one socket of ours: it connects once, and never again by itself. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { AbstractConnector, Command, Redis as IORedis, type RedisOptions } from "ioredis"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { isReply, type RedisError, toRedisError } from "./RedisError.ts"
import type { Target } from "./RedisTarget.ts"

/** How long the server has to end a connection that we have ended, before the socket is destroyed. In milliseconds. */
const patienceOnClose = 1000

/** A password, when there is one, is asked for once for each connection. */
export interface Credentials {
  readonly username: string | undefined
  readonly password: Redacted.Redacted | undefined
}

/** The driver's client and what we know of its connection. */
export interface Opened {
  readonly client: IORedis
  readonly target: Target
  readonly credentials: Credentials
  /** Why the connection ended, if it did and said so. */
  readonly lost: () => unknown
  /** There is none before the driver connects. */
  readonly socket: () => Net.Socket | undefined
  /** What the server calls the connection; `undefined` if it does not say. */
  readonly id: () => number | undefined
}

/** Options of the driver that change neither the connection's life nor what its commands mean to the pool. */
export type DriverOptions = Pick<RedisOptions, "stringNumbers" | "scripts">

const openSocket = ({ host, path, port, tls }: Target): Net.Socket => {
  const place = path === undefined ? { host, port } : { path }
  if (tls === undefined) return greetingAtOnce(Net.connect(place), "connect")
  // A name to show to the server and to look for in its certificate; an address is no name.
  const servername = path === undefined && Net.isIP(host) === 0 ? { servername: host } : {}
  return greetingAtOnce(Tls.connect({ ...place, ...servername, ...tls }), "secureConnect")
}

/**
 * The driver's greeting goes out in one write. A server that has no room says so and closes: a second write would fail, and
 * with it the socket, before anybody has read what the server said.
 */
const greetingAtOnce = (socket: Net.Socket, event: "connect" | "secureConnect"): Net.Socket =>
  socket.once(event, () => {
    socket.cork()
    process.nextTick(() => socket.uncork())
  })

/** Makes the client without connecting it. */
const prepare = (target: Target, credentials: Credentials, driver: DriverOptions): Opened => {
  let socket: Net.Socket | undefined = undefined
  let lost: unknown = undefined
  let id: number | undefined = undefined

  class OneSocket extends AbstractConnector {
    constructor() {
      super(patienceOnClose)
    }
    override connect(): Promise<Net.Socket> {
      // The driver would connect again when it is asked to, into a session that the pool knows nothing of.
      if (socket !== undefined) return Promise.reject(new Error("Connection is closed."))
      socket = openSocket(target)
      this.stream = socket
      return Promise.resolve(socket)
    }
  }

  const { password, username } = credentials
  const client = new IORedis({
    ...driver,
    Connector: OneSocket,
    ...(target.tls !== undefined && { tls: target.tls }),
    ...(password !== undefined && { password: Redacted.value(password) }),
    // The driver would take a name without a password for no credentials at all.
    ...(username !== undefined && { username, password: password === undefined ? "" : Redacted.value(password) }),
    db: target.database,
    connectionName: target.clientName,
    keepAlive: target.keepAliveMillis,
    protocol: 3,
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
    // A server that is still loading says so to every command, and the pool knows what to do then.
    enableReadyCheck: false,
    disableClientInfo: true,
    // The pool's `connectTimeout` is the only one: two of them would leave users guessing which one spoke.
    connectTimeout: 0
  })
  // Without a listener an error would end up on the console. The first one is the cause of the others.
  client.on("error", (error) => {
    lost ??= error
  })
  const sendCommand = client.sendCommand.bind(client)
  // The answer to the driver's greeting has the number of the connection, or the reason why there will be none: the driver
  // keeps that to itself when the server closes before it has answered the rest.
  client.sendCommand = (command, stream) => {
    if (command.name === "hello") {
      command.promise.then(
        (reply: unknown) => {
          id = idOf(reply)
        },
        (error: unknown) => {
          if (isReply(error) && !isWithoutHello(error)) lost ??= error
        }
      )
    }
    return sendCommand(command, stream)
  }
  return { client, target, credentials, lost: () => lost, socket: () => socket, id: () => id }
}

/** The driver goes on in the old protocol then. */
const isWithoutHello = ({ message }: Error): boolean => /^(NOPROTO|ERR unknown command)/i.test(message)

/** The answer to `HELLO` is a list of names and values, or an object, as the driver is told to map it. */
const idOf = (reply: unknown): number | undefined => {
  const entries = Array.isArray(reply) ? reply : Object.entries(reply ?? {}).flat()
  const id = Number(entries[entries.indexOf("id") + 1])
  return Number.isInteger(id) ? id : undefined
}

/** Ends the connection, and waits until it has ended: what is closing keeps its place in the pool. */
const part = ({ client, socket }: Opened): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const current = socket()
    if (current === undefined || current.destroyed) return resume(Effect.void)
    const onClose = () => resume(Effect.void)
    current.once("close", onClose)
    // Says goodbye, and destroys the socket if that is not heard in time.
    client.disconnect()
    return Effect.sync(() => {
      current.off("close", onClose)
      current.destroy()
    })
  })

/** The driver has no need of them any more, and whoever prints a connection would print them. */
const forgetCredentials = (client: IORedis): void => {
  delete client.options.username
  delete client.options.password
  if (client.condition !== null) client.condition.auth = ""
}

const connect = (opened: Opened): Effect.Effect<void, RedisError> =>
  Effect.callback<void, RedisError>((resume) => {
    const { client, lost, socket } = opened
    client.connect().then(
      () => {
        forgetCredentials(client)
        // It is ready even if it could not select the database: every command would go to another one.
        resume(lost() === undefined ? Effect.void : Effect.fail(toRedisError(lost(), undefined)))
      },
      (error: unknown) => resume(Effect.fail(toRedisError(error, lost())))
    )
    // A server that says nothing leaves the driver waiting for ever.
    return Effect.sync(() => socket()?.destroy())
  })

/** Opens a connection that the scope closes. */
export const open = (
  target: Target,
  credentials: Credentials,
  driver: DriverOptions
): Effect.Effect<Opened, RedisError, Scope.Scope> =>
  Effect.suspend(() => {
    const opened = prepare(target, credentials, driver)
    return Effect.addFinalizer(() => part(opened)).pipe(Effect.andThen(connect(opened)), Effect.as(opened))
  })

/**
 * A command as the driver wants it. In capitals it has no rule of its own for the answer, which stays as the server gave it;
 * what it must know about subscriptions it looks up in small letters.
 */
export const commandOf = (name: string, args: ReadonlyArray<Argument>): Command =>
  new Command(
    /subscribe$/i.test(name) ? name.toLowerCase() : name.toUpperCase(),
    args.map((argument) => (argument instanceof Uint8Array ? Buffer.from(argument) : argument)),
    { replyEncoding: "utf8" }
  )

/**
 * What a command is given. Bytes are sent as they are.
 *
 * @category models
 * @since 0.1.0
 */
export type Argument = string | number | Uint8Array
