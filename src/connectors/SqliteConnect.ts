/** How a connection to a file is opened, and why one cannot be. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import * as Fs from "node:fs"
import * as Connector from "../Connector.ts"
import type { DriverDatabase } from "./SqliteDriver.ts"
import { codeOf, failure, SqliteFailure, toSqlError } from "./SqliteError.ts"
import { DatabaseFile, obstacleTo, watch } from "./SqliteFile.ts"
import { Session } from "./SqliteSession.ts"
import type { Target } from "./SqliteTarget.ts"

/** Its scope closes it. */
export const connect = Effect.fnUntraced(function* (target: Target) {
  const clock = yield* Clock.Clock
  const queryTimeout = yield* Connector.QueryTimeout
  const patience = Duration.min(target.busyTimeout, queryTimeout)
  yield* ensureFile(target)
  const session = yield* Effect.acquireRelease(
    Effect.map(
      open(target, target.mode),
      (database) => new Session(database, new DatabaseFile(target.path), { mode: target.mode, patience }, clock)
    ),
    (session) => session.close
  )
  yield* Effect.mapError(session.prepareConnection(target.pragmas), (error) => explained(target.path, error))
  yield* watch(session.file)
  return session
})

/** A reader cannot make a file, and what it finds must be in WAL mode already. */
const ensureFile = (target: Target): Effect.Effect<void, SqlError> =>
  Effect.suspend(() => {
    if (Fs.existsSync(target.path)) return Effect.void
    if (!target.create) return Effect.fail(explained(target.path, cannotOpen(target.path)))
    if (target.mode === "write") return Effect.void
    const making = open(target, "write")
    return Effect.acquireUseRelease(
      making,
      (database) =>
        Effect.try({
          try: () => database.exec("pragma busy_timeout = 0; pragma journal_mode = wal"),
          catch: (thrown) => explained(target.path, toSqlError("connect", thrown))
        }),
      (database) => Effect.sync(() => database.close())
    )
  })

const open = ({ driver, integers, path }: Target, mode: "read" | "write"): Effect.Effect<DriverDatabase, SqlError> =>
  Effect.try({
    try: () => driver.open(path, { readOnly: mode === "read", integers }),
    catch: (thrown) => explained(path, toSqlError("connect", thrown))
  })

const cannotOpen = (path: string): SqlError =>
  failure("connect", new SqliteFailure({ code: "SQLITE_CANTOPEN", message: `cannot open ${path}` }))

/** Says why a file cannot be opened, or not for writing, where the file system knows. */
const explained = (path: string, error: SqlError): SqlError => {
  const code = codeOf(error)
  if (code === undefined || !/^SQLITE_(?:CANTOPEN|READONLY)/.test(code)) return error
  return Option.match(obstacleTo(path), {
    onNone: () => error,
    onSome: ({ isPermanent, message }) =>
      failure(
        "connect",
        new SqliteFailure({ code, message: `cannot open the database: ${message}`, isPermanent, cause: error })
      )
  })
}
