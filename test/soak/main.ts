/**
 * The soak of every server: a thousand clients on ten connections that move money for minutes, while sessions are ended, and the
 * server is frozen and killed. `npm run test:soak:servers -- --minutes 2`, `-- --server postgres` (or pgbouncer, mariadb, redis, surrealdb). Ends with
 * exit code 1 if money was lost or made, if a transfer that was told to be done is not in the book, or if a connection leaked.
 */
import { parseArgs } from "node:util"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Reactivity from "effect/reactivity/Reactivity"
import { play } from "./Soak.ts"
import * as Targets from "./Targets.ts"

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "2" }, server: { type: "string", multiple: true } }
})

const seconds = Number(values.minutes) * 60
const unknown = (values.server ?? []).filter((name) => !Targets.names.includes(name))

const soak = Effect.forEach(values.server ?? Targets.names, (name) =>
  Effect.scoped(
    Effect.gen(function* () {
      const target = yield* Targets.make(name)
      if (target === undefined) return true
      const { done, failed, faults, wrong } = yield* play(target, seconds)
      yield* Console.log(`${target.name}: ${done} transfers done, ${failed} not, ${faults} faults`)
      for (const line of wrong) yield* Console.error(`${target.name}: ${line}`)
      return wrong.length === 0
    })
  )
)

if (!(seconds > 0) || unknown.length > 0) {
  console.error(`--minutes takes a number above 0, --server one of ${Targets.names.join(", ")}`)
  process.exitCode = 1
} else {
  const quiet = Layer.merge(Reactivity.layer, Logger.layer([]))
  const results = await Effect.runPromise(Effect.provide(soak, quiet))
  process.exitCode = results.every(Boolean) ? 0 : 1
}
