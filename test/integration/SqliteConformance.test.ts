import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Sqlite from "../../src/connectors/Sqlite.ts"
import { DatabaseConnection } from "../../src/index.ts"
import { Conformance } from "../../src/testing/index.ts"
import { counting, newFile } from "../support/SqliteFile.ts"
import { connectFailure, onEachDriver } from "./SqliteFixture.ts"

/** There is no server that could be silent: what a statement does, it does before anything else happens. */
const inapplicable = [
  "a connect to a silent server can be interrupted",
  "the finalizer ends while the server is silent",
  "a check can be interrupted while the server is silent",
  "a reset can be interrupted while the server is silent"
]

const subject = Effect.fnUntraced(function* (base: Sqlite.Driver) {
  const path = yield* newFile
  const { counts, driver } = counting(base)
  const options: Conformance.Options<Sqlite.Reader> = {
    use: (connection) => connection.snapshot(connection.query("select ? from sqlite_master", [7])),
    dirty: (connection) => connection.query("pragma foreign_keys = off"),
    isClean: (connection) => Effect.map(connection.queryValues("pragma foreign_keys"), ([row]) => row?.[0] === 1),
    // Another file takes its place, with the same in it.
    kill: () =>
      Effect.sync(() => {
        Fs.copyFileSync(path, `${path}.new`)
        Fs.renameSync(`${path}.new`, path)
      }),
    count: Effect.sync(() => counts.open),
    connectErrors: [yield* connectFailure({ path: `${path}/nowhere`, driver })].map((error) => error.cause)
  }
  return { path, driver, options }
})

/** Together with `Conformance.check`, which never fails. */
const judge = (report: Conformance.Report) =>
  assert.deepStrictEqual(
    [report.failed, report.skipped.map(({ name }) => name).sort()],
    [[], [...inapplicable].sort()],
    report.render
  )

onEachDriver("Sqlite.connector and the conformance kit", (base) => {
  it.live(
    "passes every check but those that freeze a server, as a writer",
    () =>
      Effect.gen(function* () {
        const { driver, options, path } = yield* subject(base)
        judge(yield* Conformance.check(Sqlite.connector({ path, driver }), options))
      }),
    60_000
  )

  it.live(
    "passes every check but those that freeze a server, as a reader",
    () =>
      Effect.gen(function* () {
        const { driver, options, path } = yield* subject(base)
        judge(yield* Conformance.check(Sqlite.connector({ path, driver, mode: "read", create: true }), options))
      }),
    60_000
  )

  it.live(
    "passes every check but those that freeze a server, as the connector of counted connections",
    () =>
      Effect.gen(function* () {
        const { driver, options, path } = yield* subject(base)
        const counted = DatabaseConnection.connector(
          Sqlite.connector({ path, driver, mode: "read", create: true }),
          Sqlite.queries
        )
        const { connectErrors, count, dirty, isClean, kill, use } = options
        judge(
          yield* Conformance.check(counted, {
            use: ({ raw }) => use!(raw),
            dirty: ({ raw }) => dirty!(raw),
            isClean: ({ raw }) => isClean!(raw),
            kill: ({ raw }) => kill!(raw),
            count,
            connectErrors
          })
        )
      }),
    60_000
  )
})
