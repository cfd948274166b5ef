/** The file of a database: whether it is still the one that was opened, and why it cannot be opened. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import { hasProperty, isString } from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** What stands under a name now: nothing (`undefined`), or something that may not be looked at. */
const lookAt = (path: string): Fs.Stats | undefined | "hidden" =>
  Result.getOrElse(
    Result.try(() => Fs.statSync(path, { throwIfNoEntry: false })),
    () => "hidden" as const
  )

/**
 * An open database's file. SQLite goes on with a file that was removed or replaced as if nothing had happened, and what it
 * writes then is lost when it is closed.
 */
export class DatabaseFile {
  readonly path: string
  /** Opens when the file was seen to be gone. */
  readonly gone = Latch.makeUnsafe(false)
  isGone = false
  private readonly opened: ReturnType<typeof lookAt>

  constructor(path: string) {
    this.path = path
    this.opened = lookAt(path)
  }

  /** Looks, which costs a microsecond or two. */
  hasMoved(): boolean {
    if (this.isGone) return true
    const { opened } = this
    const now = lookAt(this.path)
    // Whoever may not look does not know: SQLite itself needs no name any more.
    if (now === "hidden" || opened === "hidden") return false
    // Two names of one file, or two files under one name, are told apart by this only.
    if (now?.dev !== opened?.dev || now?.ino !== opened?.ino) {
      this.isGone = true
      this.gone.openUnsafe()
    }
    return this.isGone
  }
}

/** Has the system tell when something happens to the file. Where it cannot, the file is looked at by checks and by writers only. */
export const watch = (file: DatabaseFile): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() =>
        Result.map(
          // Not persistent: an open database must not keep the process alive.
          Result.try(() => Fs.watch(file.path, { persistent: false })),
          // Without a listener for errors they would end the process. `change` is what the removal of an open file is called.
          (watcher) => watcher.on("change", () => file.hasMoved()).on("error", () => file.hasMoved())
        )
      ),
      (watcher) => Effect.sync(() => Result.map(watcher, (one) => one.close()))
    )
  )

/** Why a file cannot be opened, and whether that may change by itself. */
export interface Obstacle {
  readonly message: string
  readonly isPermanent: boolean
}

const codeOf = (error: unknown): string => (hasProperty(error, "code") && isString(error.code) ? error.code : "")

/** SQLite says "unable to open database file" of everything; the file system knows more. */
export const obstacleTo = (path: string): Option.Option<Obstacle> => {
  const folder = Path.dirname(path)
  const obstacle = (message: string, isPermanent: boolean) => Option.some({ message, isPermanent })
  const found = lookAt(path)
  if (found !== "hidden" && found?.isDirectory() === true) return obstacle(`${path} is a folder`, true)
  if (!Fs.existsSync(folder)) return obstacle(`the folder ${folder} does not exist`, true)
  // Not the file itself: closing it would take away the locks that every other connection of this process has on it.
  const attempt = Result.try({ try: () => Fs.rmdirSync(Fs.mkdtempSync(`${path}-probe-`)), catch: codeOf })
  if (Result.isFailure(attempt)) {
    const code = attempt.failure
    const isPermanent = code === "EACCES" || code === "EROFS" || code === "EPERM"
    return obstacle(
      `the folder ${folder} cannot be written to (${code}); SQLite keeps its log beside the file`,
      isPermanent
    )
  }
  // Its writer may be about to make it.
  return found === undefined ? obstacle(`there is no file ${path}`, false) : Option.none()
}
