/** Other programs, run to their end: what they said, and how they ended. */
import { execFile } from "node:child_process"
import * as Effect from "effect/Effect"

export interface Ended {
  /** 0 is good; `undefined`: it could not be started, or was ended because it took too long. */
  readonly status: number | undefined
  /** Standard output and standard error. */
  readonly output: string
  readonly stdout: string
}

export interface Options {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** In milliseconds. */
  readonly timeout?: number
}

/** A program that is gone for good when the fiber that runs it is interrupted. */
export const run = (command: string, args: ReadonlyArray<string>, options: Options): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const child = execFile(
      command,
      [...args],
      {
        cwd: options.cwd,
        env: { ...process.env, ...options.env },
        timeout: options.timeout ?? 300_000,
        killSignal: "SIGKILL",
        maxBuffer: 64 * 1024 * 1024,
        encoding: "utf8",
        shell: process.platform === "win32"
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : undefined
        const why = status === undefined ? `${error?.message ?? ""}\n` : ""
        resume(Effect.succeed({ status, stdout, output: `${why}${stdout}${stderr}` }))
      }
    )
    return Effect.sync(() => void child.kill("SIGKILL"))
  })
