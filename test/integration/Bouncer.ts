/** What every test behind PgBouncer needs: a server with a proxy before it, and a pool that goes through it. */
import { layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import * as PgBouncerServer from "../support/PgBouncerServer.ts"
import * as PostgresServer from "../support/PostgresServer.ts"
import { type Connection, live, Server } from "./Server.ts"

export class Bouncer extends Context.Service<Bouncer, PgBouncerServer.PgBouncerServer>()("test/Bouncer") {}

/** The services of a test: the proxy, the server behind it, and the test's scope. */
export type Behind = Bouncer | Server | Scope.Scope

/** Another proxy before the file's server, for a test that needs one to itself or with other settings. */
export const makeBouncer = (settings: PgBouncerServer.Options["settings"] = {}, more: { password?: string } = {}) =>
  Effect.flatMap(Server, ({ port }) =>
    PgBouncerServer.make({ serverPort: port, databases: ["app", "kit", "other"], settings, ...more })
  )

/** Tests that mostly wait, for timeouts of the proxy, do so together. */
export const together = { concurrent: true, timeout: 30_000 } as const

/**
 * Tests that share one server and one proxy. Where there is no PgBouncer each of them is skipped, and its name says why.
 */
export const behindPgBouncer = (
  title: string,
  tests: (
    it: (
      story: string,
      run: () => Effect.Effect<unknown, unknown, Behind>,
      options?: { readonly concurrent?: boolean; readonly timeout?: number }
    ) => void
  ) => void,
  settings: PgBouncerServer.Options["settings"] = {},
  serverSettings: Readonly<Record<string, string | number>> = {}
): void => {
  const { unavailable } = PgBouncerServer
  const bouncer = Layer.effect(Bouncer, makeBouncer(settings)).pipe(
    Layer.provideMerge(Layer.effect(Server, PostgresServer.make(serverSettings)))
  )
  // Without the proxy nothing is started either.
  const services = unavailable === undefined ? bouncer : (Layer.empty as unknown as typeof bouncer)
  layer(services, { ...live, timeout: "60 seconds" })(title, (it) => {
    tests((story, run, options) => {
      if (unavailable === undefined) it.effect(story, () => Effect.scoped(run()), options)
      else it.effect.skip(`${story} (not run: ${unavailable})`, () => Effect.scoped(run()))
    })
  })
}

/** What a pool logs about its outages is no news in a test that makes them. */
export const silent = Logger.layer([])

/** A pool that goes through a proxy, as its profile has it unless the test says otherwise. */
export const makePool = Effect.fnUntraced(function* (
  applicationName: string,
  config: Input = {},
  options: Postgres.PgBouncerOptions = {}
): Effect.fn.Return<ConnectionPool.ConnectionPool<Connection>, PoolConfigError | ConnectError, Bouncer | Scope.Scope> {
  const bouncer = yield* Bouncer
  const connector = Postgres.pgBouncer({ url: bouncer.url(), applicationName, ...options })
  const profile = Postgres.pgBouncerPool({ poolSize: 3 })
  return yield* Effect.provide(ConnectionPool.make(connector, { ...profile, ...config }), silent)
})

/** How the first attempt to connect fails. */
export const connectFailure = (options: Postgres.PgBouncerOptions, config: Input = {}) =>
  Effect.scoped(
    Effect.flip(ConnectionPool.make(Postgres.pgBouncer(options), { minConnections: 1, startup: "failFast", ...config }))
  ).pipe(Effect.provide(silent))
