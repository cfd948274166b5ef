import { createNodeEngines } from "@surrealdb/node"
import { assert, it, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { type DriverContext, Surreal, type SurrealEngine } from "surrealdb"
import { WebSocket } from "ws"
import * as SurrealDb from "../../src/connectors/SurrealDb.ts"
import { Conformance } from "../../src/testing/index.ts"
import { eventually } from "../support/Eventually.ts"
import {
  type Connection,
  connectorFor,
  counts,
  live,
  type Mode,
  modes,
  onServer,
  place,
  Server,
  serverWith,
  sessionIdOf,
  valueOf
} from "./Surreal.ts"

/** Its sweeps go on for as long. */
const timeout = "2 seconds"

const onConnection = {
  use: (connection: Connection) => connection.query("RETURN $n", { n: 7 }),
  dirty: (connection: Connection) => connection.use((session) => session.set("tenant", "seven")),
  isClean: (connection: Connection) =>
    Effect.map(valueOf(connection, "RETURN $tenant ?? NONE"), (tenant) => tenant === undefined),
  connectErrors: [new SurrealDb.SurrealDbError({ operation: "connect", kind: "Unreachable", text: "refused" })]
} satisfies Conformance.Options<Connection>

/** How the kit looks at the server, from outside of what it checks. */
const optionsFor = Effect.fnUntraced(function* (mode: Mode) {
  const { counts, freeze, terminate, thaw } = yield* Server
  const options: Conformance.Options<Connection> = {
    ...onConnection,
    timeout,
    kill: (connection) => Effect.flatMap(sessionIdOf(connection), terminate),
    count: Effect.map(counts, ({ sessions, sockets }) => (mode === "sharedSocket" ? sessions : sockets)),
    hang: { freeze, thaw }
  }
  return options
})

/** A token, as programs get theirs from elsewhere: to check a password takes the server so long that a sweep would make few connects. */
const token = Effect.gen(function* () {
  const { password, url } = yield* Server
  const token = yield* Effect.promise(async () => {
    const surreal = new Surreal({ websocketImpl: WebSocket as unknown as typeof globalThis.WebSocket })
    await surreal.connect(url, { authentication: { username: "root", password } })
    const { accessToken } = surreal
    await surreal.close()
    return Redacted.make(accessToken!)
  })
  // The kit counts sockets, and is to count its own.
  yield* eventually(counts, ({ sockets }) => sockets === 0)
  return token
})

const reportOf = (mode: Mode) =>
  Effect.gen(function* () {
    const connector = yield* connectorFor({ mode, authentication: yield* token })
    return yield* Conformance.check(connector, yield* optionsFor(mode))
  }).pipe(Effect.provide(serverWith()))

/** The kit waits for most of its time, so it runs in each mode at the same time, on a server each. */
class Reports extends Context.Service<Reports, Readonly<Record<Mode, Conformance.Report>>>()("test/Surreal/Reports") {
  static readonly layer = Layer.effect(
    Reports,
    Effect.all(
      { socketPerConnection: reportOf("socketPerConnection"), sharedSocket: reportOf("sharedSocket") },
      { concurrency: 2 }
    )
  )
}

onServer("SurrealDb.connector and the conformance kit", () => {
  layer(Reports.layer, { ...live, timeout: "60 seconds" })("on a server", (it) => {
    for (const mode of modes) {
      it.effect(`passes every check, with mode: "${mode}"`, () =>
        Effect.gen(function* () {
          const report = (yield* Reports)[mode]
          assert.deepStrictEqual([report.failed, report.skipped], [[], []], report.render)
        })
      )
    }
  })

  it.live(
    "passes every check that needs no network, in this process",
    () =>
      Effect.gen(function* () {
        let engine: SurrealEngine | undefined = undefined
        const engines = Object.fromEntries(
          Object.entries(createNodeEngines()).map(([scheme, make]) => [
            scheme,
            (context: DriverContext) => (engine = make(context))
          ])
        )
        const connector = SurrealDb.connector({ url: "mem://", ...place, engines })
        const count = Effect.promise(async () => (await engine?.sessions().catch(() => []))?.length ?? 0)
        const report = yield* Conformance.check(connector, {
          ...onConnection,
          timeout,
          count,
          kill: () => Effect.promise(async () => engine?.close())
        })
        // An engine in this process cannot be frozen.
        const lacking = new Set(report.skipped.map(({ detail }) => detail))
        assert.deepStrictEqual([report.failed, [...lacking]], [[], ["lacks `hang`"]], report.render)
      }),
    60_000
  )
})
