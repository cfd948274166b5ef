/** A connection's settings, and everything else on it that outlives a statement. */
import type { DriverDatabase } from "./SqliteDriver.ts"
import { SqliteFailure } from "./SqliteError.ts"

/** In the order in which they are set. */
export type Settings = ReadonlyArray<readonly [name: string, value: string]>

/** The values of a connection's settings, by their names. */
export type Baseline = ReadonlyMap<string, string>

/** Settings of a connection, not of the file. `journal_mode` is the file's, and all of its users rely on it. */
const resettable: ReadonlyArray<string> =
  "journal_mode foreign_keys defer_foreign_keys ignore_check_constraints recursive_triggers synchronous busy_timeout read_uncommitted query_only locking_mode wal_autocheckpoint journal_size_limit cache_size cache_spill mmap_size temp_store max_page_count automatic_index trusted_schema cell_size_check reverse_unordered_selects secure_delete legacy_alter_table analysis_limit threads full_column_names short_column_names count_changes empty_result_callbacks writable_schema checkpoint_fullfsync fullfsync".split(
    " "
  )

const valueOf = (database: DriverDatabase, name: string): string | undefined => {
  const value = database.prepare(`pragma ${name}`).values([])[0]?.[0]
  return value === undefined ? undefined : String(value)
}

export const set = (database: DriverDatabase, name: string, value: string): void => {
  // Some answer with what they are set to now, some with nothing.
  const answer = database.prepare(`pragma ${name} = ${value}`).all([])
  if (name === "journal_mode" && Object.values(answer[0] ?? {})[0] !== value) {
    throw new SqliteFailure({
      code: undefined,
      message: `the file system or the driver does not support journal_mode = ${value}`,
      isPermanent: true
    })
  }
}

export const read = (database: DriverDatabase): Baseline => {
  const found = new Map<string, string>()
  for (const name of resettable) {
    const value = valueOf(database, name)
    if (value !== undefined) found.set(name, value)
  }
  return found
}

const quoted = (name: unknown): string => `"${String(name).replaceAll('"', '""')}"`

/** Makes a connection as it was when it was opened. Throws what cannot be undone. */
export const restore = (database: DriverDatabase, baseline: Baseline): void => {
  const isReader = baseline.get("query_only") === "1"
  // Forbids to drop temporary tables as well.
  if (isReader) database.exec("pragma query_only = off")
  const left = "select type, name from temp.sqlite_master where type in ('trigger', 'view', 'table') order by type desc"
  for (const [type, name] of database.prepare(left).values([])) {
    if (!String(name).startsWith("sqlite_")) database.exec(`drop ${String(type)} if exists temp.${quoted(name)}`)
  }
  for (const [sequence, name] of database.prepare("pragma database_list").values([])) {
    if (Number(sequence) > 1) database.exec(`detach ${quoted(name)}`)
  }
  for (const [name, value] of baseline) {
    if (valueOf(database, name) !== value) database.exec(`pragma ${name} = ${value}`)
  }
}
