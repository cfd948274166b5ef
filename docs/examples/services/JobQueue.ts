/**
 * A job queue that loses no job: a worker moves a job to its own list before it begins (`BLMOVE`), and takes it off there when
 * it is done. A job whose worker died stands in that worker's list, and is put back.
 */
import { Effect, Schema } from "effect"
import { PoolLayer } from "effect-pool"
import type * as Redis from "effect-pool/Redis"

export class Jobs extends PoolLayer.Service<Jobs, Redis.Connection>()("app/Jobs") {}

export const Job = Schema.Struct({ id: Schema.String, address: Schema.String })

export type Job = typeof Job.Type

/** A job that nobody can do; it is kept apart, for somebody to look at. */
export class BadJob extends Schema.TaggedError<BadJob>()("BadJob", { job: Schema.String }) {}

const waiting = "jobs:waiting"
const bad = "jobs:bad"
const takenBy = (worker: string) => `jobs:taken:${worker}`

const encode = Schema.encodeEffect(Schema.fromJsonString(Job))
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Job))

export const submit = Effect.fn("JobQueue.submit")(function* (job: Job) {
  const text = yield* Effect.orDie(encode(job))
  yield* Jobs.use((connection) => connection.send("LPUSH", waiting, text))
})

/**
 * Waits for a job and does it, and gives it; nothing if there was none for `patience` seconds. A job that fails, or whose worker
 * is interrupted, stays with the worker until `recover`.
 */
export const work = Effect.fn("JobQueue.work")(function* <E, R>(
  worker: string,
  perform: (job: Job) => Effect.Effect<unknown, E, R>,
  patience = 5
) {
  // The connection is borrowed for the wait only: work may take longer than a pool likes to lend.
  const text = yield* Jobs.use((connection) =>
    connection.send<string | null>("BLMOVE", waiting, takenBy(worker), "RIGHT", "LEFT", patience)
  )
  if (text === null) return undefined
  const job = yield* Effect.catch(decode(text), () =>
    Effect.andThen(putAside(worker, text), Effect.fail(new BadJob({ job: text })))
  )
  yield* perform(job)
  yield* Jobs.use((connection) => connection.send("LREM", takenBy(worker), 1, text))
  return job
})

const putAside = (worker: string, text: string) =>
  Jobs.use((connection) =>
    connection.transaction([
      ["LREM", takenBy(worker), 1, text],
      ["LPUSH", bad, text]
    ])
  )

/** Puts back what a worker has left, the oldest first in the line again; says how many. */
export const recover = Effect.fn("JobQueue.recover")(function* (worker: string) {
  let count = 0
  while ((yield* Jobs.use(({ send }) => send("LMOVE", takenBy(worker), waiting, "LEFT", "RIGHT"))) !== null) count++
  return count
})
