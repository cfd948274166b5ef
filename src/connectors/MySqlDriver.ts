/** The edge to the driver: its connection is opened, asked and closed here, and its callbacks become effects. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { type Connection, createConnection, type Query } from "mysql2"
import * as Net from "node:net"
import { toSqlError } from "./MySqlError.ts"
import type { Target } from "./MySqlTarget.ts"

/** A connection of the driver's, and its socket, which tells what the driver does not. */
export interface Line {
  readonly driver: Connection
  readonly socket: Net.Socket
  /** Whether there is anybody to say goodbye to, and nothing else is being said. */
  isQuiet: boolean
}

/** How long the server may take to answer a goodbye. */
const partingMillis = 1000

/** Opens the socket ourselves, so that we see it die, and can destroy it: the driver's `destroy` waits for the other side. */
const openSocket = ({ host, keepAlive, port, socketPath }: Target): Net.Socket =>
  socketPath === undefined
    ? Net.connect({
        host,
        port,
        // A statement is one small write and a wait for its answer: Nagle's algorithm would only hold it back.
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: Duration.toMillis(keepAlive)
      })
    : Net.connect({ path: socketPath })

/** More of them would come near the server's own limit, which all its connections share (16,382 by default). */
const maxPreparedStatements = 200

const passwordOf = ({ password }: Target): Effect.Effect<string | undefined> => {
  if (password === undefined || isString(password)) return Effect.succeed(password)
  return Redacted.isRedacted(password)
    ? Effect.succeed(Redacted.value(password))
    : Effect.map(password, (current) => Redacted.value(current))
}

const openLine = (target: Target, password: string | undefined): Line => {
  const { servername, ...ssl } = target.ssl ?? {}
  let socket: Net.Socket | undefined = undefined
  const driver = createConnection({
    maxPreparedStatements,
    ...target.driver,
    // The driver asks for the certificate of this host, and does not use it to connect.
    host: servername ?? target.host,
    port: target.port,
    ...(target.database === undefined ? {} : { database: target.database }),
    ...(target.username === undefined ? {} : { user: target.username }),
    ...(password === undefined ? {} : { password }),
    ...(target.ssl === undefined ? {} : { ssl }),
    connectAttributes: { program_name: target.applicationName },
    // The pool's `connectTimeout` is the only one: two of them would leave users guessing which one spoke.
    connectTimeout: 0,
    stream: () => (socket = openSocket(target))
  })
  const line: Line = { driver, socket: socket!, isQuiet: false }
  // Nobody else listens, and an 'error' that nobody hears ends the process. The driver uses the connection no more, and would
  // wait for the other side to close it.
  driver.on("error", () => line.socket.destroy())
  return line
}

const handshake = ({ driver, socket }: Line): Effect.Effect<void, SqlError> =>
  Effect.callback<void, SqlError>((resume) => {
    driver.connect((error) => resume(error ? Effect.fail(toSqlError(error, "connect")) : Effect.void))
    return Effect.sync(() => socket.destroy())
  })

/** A server that cannot be reached never answers a goodbye: it gets a second. */
const part = (line: Line): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const { driver, isQuiet, socket } = line
    if (socket.destroyed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    if (!isQuiet) {
      socket.destroy()
      return
    }
    driver.end()
    socket.setTimeout(partingMillis, () => socket.destroy())
    return Effect.sync(() => socket.destroy())
  })

/** Opens a connection, which is closed with the scope. */
export const open = (target: Target): Effect.Effect<Line, SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const password = yield* passwordOf(target)
    const opened = Effect.try({
      try: () => openLine(target, password),
      catch: (error) => toSqlError(error, "connect")
    })
    const line = yield* Effect.acquireRelease(opened, part)
    yield* handshake(line)
    line.isQuiet = true
    return line
  })

/** A statement on its way to the server. */
export interface Request {
  readonly sql: string
  readonly params: ReadonlyArray<unknown>
  /** `execute`: parsed and planned once for each connection, and its parameters sent apart from it. Otherwise as one text. */
  readonly isPrepared: boolean
  readonly asArrays: boolean
}

export interface Answer {
  /** Rows, or a header; an array of them where the statement gives several. */
  readonly result: unknown
  readonly fields: unknown
}

type Callback = (error: unknown, result: unknown, fields: unknown) => void

/** What the driver would refuse, or take for the name of a column. */
const valuesOf = (params: ReadonlyArray<unknown>): Array<unknown> =>
  params.map((value) => (value === undefined ? null : value))

const commandOf = (driver: Connection, { asArrays, isPrepared, params, sql }: Request, callback?: Callback): Query => {
  const options = {
    sql,
    rowsAsArray: asArrays,
    ...(params.length === 0 ? {} : { values: valuesOf(params) as Array<string> })
  }
  return isPrepared ? driver.execute(options, callback) : driver.query(options, callback)
}

/** Sends a statement and calls back once, with what comes of it. */
export const send = (
  { driver }: Line,
  request: Request,
  onEnd: (error: SqlError | undefined, answer: Answer) => void
): void => {
  let hasEnded = false
  const end = (error: unknown, result: unknown, fields: unknown) => {
    if (hasEnded) return
    hasEnded = true
    onEnd(error ? toSqlError(error, "execute") : undefined, { result, fields })
  }
  try {
    commandOf(driver, request, end)
  } catch (error) {
    end(error, undefined, undefined)
  }
}

/** Sends a statement whose rows come as events. Throws what the driver throws. */
export const sendForRows = ({ driver }: Line, request: Request): Query => commandOf(driver, request)

/** A command that is no statement. Whoever gives it up wants the connection no more. */
export const command = ({ driver, socket }: Line, name: "ping" | "reset"): Effect.Effect<void, SqlError> =>
  Effect.callback<void, SqlError>((resume) => {
    const onClose = () => resume(Effect.fail(toSqlError(new Error("the connection is in closed state"), name)))
    if (socket.destroyed) return onClose()
    socket.once("close", onClose)
    driver[name]((error) => {
      socket.off("close", onClose)
      resume(error ? Effect.fail(toSqlError(error, name)) : Effect.void)
    })
    return Effect.sync(() => {
      socket.off("close", onClose)
      socket.destroy()
    })
  })
