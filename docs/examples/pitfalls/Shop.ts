/** What the pitfalls have in common: a database that needs no server, and the pool's own words among those of the program. */
import { Console, Effect, Layer, Logger } from "effect"
import { Connector, type PoolConfig, PoolLayer } from "effect-pool"

export interface Connection {
  readonly query: (sql: string) => Effect.Effect<string>
}

export class Db extends PoolLayer.Service<Db, Connection>()("shop/Db") {}

/** A query takes five milliseconds. */
const connector = Connector.make({
  name: "shop",
  connect: Effect.succeed<Connection>({ query: (sql) => Effect.delay(Effect.succeed(`rows of ${sql}`), "5 millis") })
})

/** What the pool logs as a warning or an error, as it says it. Info and debug are left out: they are the same in each of these programs. */
const warnings = Layer.effect(
  Logger.CurrentLoggers,
  Effect.map(
    Console.Console,
    (console) =>
      new Set([
        Logger.make(({ logLevel, message }) => {
          if (logLevel === "Warn" || logLevel === "Error") console.log(`  the pool logs: ${String(message)}`)
        })
      ])
  )
)

/** A small pool, with short times, so that nobody has to wait for long. */
export const shop = (config: PoolConfig.Input) =>
  Db.layer(connector, {
    minConnections: 2,
    maxConnections: 2,
    acquireTimeout: "1500 millis",
    leakThreshold: "500 millis",
    drainTimeout: 0,
    ...config
  }).pipe(Layer.provideMerge(warnings))

export const say = (text: string): Effect.Effect<void> => Console.log(text)

/** One way to write it: its name, and what comes of it. */
export const way = <E, R>(name: string, program: Effect.Effect<void, E, R>, config: PoolConfig.Input = {}) =>
  Effect.andThen(say(`\n${name}`), Effect.provide(Effect.scoped(program), shop(config)))

/** What somebody who asks for something gets: it, or an error. What the error says stands in the line above, where the pool logs it. */
export const tell = <A, E extends { readonly _tag: string }, R>(who: string, effect: Effect.Effect<A, E, R>) =>
  Effect.matchEffect(effect, {
    onSuccess: (value) => say(`  ${who}: ${String(value)}`),
    onFailure: ({ _tag }) => say(`  ${who}: failed with ${_tag}`)
  })
