import { assert } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { BadJob, type Job, Jobs, recover, submit, work } from "../../docs/examples/services/JobQueue.ts"
import * as Redis from "../../src/connectors/Redis.ts"
import { eventually } from "../support/Eventually.ts"
import { ask, observer, onServer, Server, silent } from "./RedisServerLayer.ts"

const JobsLive = Layer.unwrap(
  Effect.map(Server, ({ url }) =>
    Jobs.layer(Redis.connector({ url, clientName: "jobs" }), { minConnections: 4, maxConnections: 8 }).pipe(
      Layer.provide(silent)
    )
  )
)

const jobs = Array.from({ length: 100 }, (_, n): Job => ({ id: String(n), address: `ada+${n}@example.org` }))

const empty = Effect.flatMap(observer, (outside) => Effect.as(ask(outside, "FLUSHALL"), outside))

onServer("the example of a job queue", {}, (test) => {
  test("does every job once with four workers, in the order in which they came", () =>
    Effect.gen(function* () {
      yield* empty
      const begun: Array<string> = []
      const worker = (name: string) =>
        Effect.gen(function* () {
          while (true) {
            const done = yield* work(name, ({ id }) => Effect.sync(() => begun.push(id)), 0.1)
            if (done === undefined) return
          }
        })
      const workers = yield* Effect.forEach(["a", "b", "c", "d"], (name) => Effect.forkChild(worker(name)))
      yield* Effect.forEach(jobs, submit, { discard: true })
      yield* Effect.forEach(workers, Fiber.join)
      assert.deepStrictEqual(
        begun.sort((a, b) => Number(a) - Number(b)),
        jobs.map(({ id }) => id)
      )
    }).pipe(Effect.provide(JobsLive)))

  test("loses no job when workers are interrupted all the time, while they wait and while they work", () =>
    Effect.gen(function* () {
      const outside = yield* empty
      const done = new Set<string>()
      const perform = ({ id }: Job) =>
        Effect.andThen(
          Effect.sleep(1),
          Effect.sync(() => done.add(id))
        )
      let isOver = false
      const impatient = Effect.ignore(Effect.timeout(work("impatient", perform), 3))
      const worker = yield* Effect.forkChild(
        Effect.whileLoop({ while: () => !isOver, body: () => impatient, step() {} })
      )
      yield* Effect.forEach(jobs, submit, { discard: true })
      yield* eventually(ask(outside, "LLEN", "jobs:waiting"), (left) => left === 0)
      isOver = true
      yield* Fiber.join(worker)
      yield* recover("impatient")
      while ((yield* work("patient", perform, 0.1)) !== undefined) continue
      assert.strictEqual(done.size, jobs.length)
      assert.strictEqual(yield* ask(outside, "EXISTS", "jobs:waiting", "jobs:taken:impatient", "jobs:taken:patient"), 0)
    }).pipe(Effect.provide(JobsLive)))

  test("puts aside what is no job, and says so", () =>
    Effect.gen(function* () {
      const outside = yield* empty
      yield* ask(outside, "LPUSH", "jobs:waiting", "nonsense")
      const error = yield* Effect.flip(work("a", () => Effect.void))
      assert.instanceOf(error, BadJob)
      assert.deepStrictEqual(yield* ask(outside, "LRANGE", "jobs:bad", 0, -1), ["nonsense"])
    }).pipe(Effect.provide(JobsLive)))
})
