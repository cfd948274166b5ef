/** What every test of Redis needs: the file's server, a pool on it, and a look at it from outside the pool. */
import { layer as testLayer } from "@effect/vitest"
import { Context, Effect, Layer, Logger, type Scope } from "effect"
import { Redis as IORedis } from "ioredis"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Redis from "../../src/connectors/Redis.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import * as RedisServer from "../support/RedisServer.ts"

export type Connection = Redis.Connection
export type Pool = ConnectionPool.ConnectionPool<Connection>

export class Server extends Context.Service<Server, RedisServer.RedisServer>()("test/RedisServer") {}

export const serverWith = (options: RedisServer.Options = {}) => Layer.effect(Server, RedisServer.make(options))

type Test = (name: string, run: () => Effect.Effect<unknown, unknown, Server | Scope.Scope>, timeout?: number) => void

/** Tests on one server of their own, in real time, since the server's is real. Where there is none, each says so. */
export const onServer = (
  name: string,
  options: RedisServer.Options,
  tests: (test: Test) => void,
  isRunnable: string | undefined = RedisServer.unavailable
): void =>
  testLayer(isRunnable === undefined ? serverWith(options) : (Layer.empty as unknown as Layer.Layer<Server>), {
    excludeTestServices: true,
    timeout: "30 seconds"
  })(name, (it) =>
    tests((story, run, timeout = 30_000) => {
      if (isRunnable === undefined) it.effect(story, run, timeout)
      else it.effect.skip(`${story} (not run: ${isRunnable})`, run)
    })
  )

/** Keeps one connection, the same for every borrower. */
export const single: Input = { minConnections: 1, maxConnections: 1 }

/** What a pool logs about its outages is no news in a test that makes them. */
export const silent = Logger.layer([])

/** A pool on the file's server. Its connections are found by `clientName`. */
export const makePool = Effect.fnUntraced(function* (
  clientName: string,
  config: Input = single,
  options: Redis.Options = {}
): Effect.fn.Return<Pool, PoolConfigError | ConnectError, Server | Scope.Scope> {
  const { url } = yield* Server
  const connector = Redis.connector({ url, clientName, ...options })
  return yield* Effect.provide(ConnectionPool.make(connector, config), silent)
})

/** How the first attempt to connect fails. */
export const connectFailure = (options: Redis.Options, config: Input = {}) =>
  Effect.scoped(
    Effect.flip(ConnectionPool.make(Redis.connector(options), { ...single, startup: "failFast", ...config }))
  ).pipe(Effect.provide(silent))

/** A client of our own, outside every pool, which comes back after an outage. */
export const observer: Effect.Effect<IORedis, never, Server | Scope.Scope> = Effect.flatMap(Server, ({ port }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const client = new IORedis({ host: "127.0.0.1", port, retryStrategy: () => 20, maxRetriesPerRequest: null })
      client.on("error", () => {})
      return client
    }),
    (client) => Effect.sync(() => client.disconnect())
  )
)

export const ask = <A = unknown>(client: IORedis, name: string, ...args: ReadonlyArray<string | number>) =>
  Effect.promise(() => client.call(name, [...args]) as Promise<A>)

/** A connection as the server lists it. */
export interface ClientOnServer {
  readonly id: number
  readonly name: string
  readonly db: number
  /** The last command. */
  readonly cmd: string
  readonly port: number
  readonly flags: string
}

/** The server's own list of the connections of that name, the oldest first. */
export const clientsOf = (client: IORedis, name: string) =>
  Effect.map(ask<string>(client, "CLIENT", "LIST"), (list) =>
    list
      .trim()
      .split("\n")
      .map((line): ClientOnServer => {
        const fields = new Map(line.split(" ").map((field) => field.split(/=(.*)/s, 2) as [string, string]))
        return {
          id: Number(fields.get("id")),
          name: fields.get("name") ?? "",
          db: Number(fields.get("db")),
          cmd: fields.get("cmd") ?? "",
          port: Number(fields.get("addr")?.split(":").at(-1)),
          flags: fields.get("flags") ?? ""
        }
      })
      .filter((found) => found.name === name)
      .sort((a, b) => a.id - b.id)
  )
