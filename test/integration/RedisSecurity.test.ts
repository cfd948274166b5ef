/** Passwords, users, certificates and limits of a real server. */
import { afterAll, assert } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { inspect } from "node:util"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Redis from "../../src/connectors/Redis.ts"
import * as Certificate from "../support/Certificate.ts"
import { eventually } from "../support/Eventually.ts"
import { capture } from "../support/Logged.ts"
import * as RedisServer from "../support/RedisServer.ts"
import {
  ask,
  clientsOf,
  connectFailure,
  makePool,
  observer,
  onServer,
  type Pool,
  Server,
  silent,
  single
} from "./RedisServerLayer.ts"

const kindOf = (error: { readonly _tag: string; readonly kind?: string }) => error.kind ?? error._tag

const whoAmI = (pool: Pool) => ConnectionPool.use(pool, ({ send }) => send("ACL", "WHOAMI"))

/** Users of the file's server: one that may do anything, and one that may read and nothing else. */
const withUsers = Effect.gen(function* () {
  const outside = yield* observer
  yield* ask(outside, "ACL", "SETUSER", "app", "reset", "on", ">right", "~*", "&*", "+@all")
  yield* ask(outside, "ACL", "SETUSER", "reader", "reset", "on", ">right", "~*", "+get")
  return outside
})

onServer("Redis.connector: passwords and users", {}, (test) => {
  test("logs in with a password in every form", () =>
    Effect.gen(function* () {
      yield* withUsers
      const { port } = yield* Server
      const forms: ReadonlyArray<Redis.Options> = [
        { username: "app", password: "right" },
        { username: "app", password: Redacted.make("right") },
        { username: "app", password: Effect.succeed(Redacted.make("right")) },
        { url: `redis://app:right@127.0.0.1:${port}` },
        { url: Redacted.make(`redis://app:right@127.0.0.1:${port}`) },
        { url: `redis://app:wrong@127.0.0.1:${port}`, password: "right" }
      ]
      for (const options of forms) assert.strictEqual(yield* whoAmI(yield* makePool("forms", single, options)), "app")
    }))

  for (const [name, options] of Object.entries<Redis.Options>({
    "a wrong password": { username: "app", password: "s3cret" },
    "a user that the server does not know": { username: "nobody", password: "s3cret" },
    "a user without a password": { username: "app" }
  })) {
    test(`${name} is a permanent failure, and no error and no log shows it`, () =>
      Effect.gen(function* () {
        yield* withUsers
        const { url } = yield* Server
        const { layer, lines } = capture()
        const error = yield* connectFailure({ url, ...options }).pipe(Effect.provide(layer))
        assert.strictEqual(kindOf(error), "permanent")
        assert.include(error.message, "WRONGPASS")
        assert.notInclude(JSON.stringify([error, error.message, String(error), lines]), "s3cret")
      }))
  }

  test("keeps the password out of what is printed of a connection", () =>
    Effect.gen(function* () {
      yield* withUsers
      const { port } = yield* Server
      const pool = yield* makePool("printed", single, { url: `redis://app:right@127.0.0.1:${port}` })
      const printed = yield* ConnectionPool.use(pool, (connection) =>
        Effect.sync(() => inspect(connection, { depth: 12, showHidden: true }))
      )
      assert.include(printed, "printed")
      assert.notInclude(printed, "right")
    }))

  test("lends connections to one that may only read, checks them and makes them as new", () =>
    Effect.gen(function* () {
      const outside = yield* withUsers
      const pool = yield* makePool(
        "reader",
        { ...single, checkAfterIdle: 0 },
        { username: "reader", password: "right", reset: "always" }
      )
      assert.strictEqual((yield* clientsOf(outside, "reader")).length, 1)
      for (let n = 0; n < 3; n++) {
        assert.isNull(yield* ConnectionPool.use(pool, ({ send }) => send("GET", "none")))
      }
      const refused = yield* ConnectionPool.use(pool, ({ send }) => Effect.flip(send("SET", "x", "1")))
      assert.strictEqual(refused.code, "NOPERM")
      yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 1)
      const { closed, created } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ created, closed }, { created: 1, closed: 0 })
      assert.strictEqual((yield* clientsOf(outside, "reader")).length, 1)
    }))

  test("asks for the password anew for each connection, and goes on after it was rotated", () =>
    Effect.gen(function* () {
      const outside = yield* withUsers
      let current = "first"
      yield* ask(outside, "ACL", "SETUSER", "rotated", "reset", "on", ">first", "~*", "&*", "+@all")
      const password = Effect.sync(() => Redacted.make(current))
      const pool = yield* makePool(
        "rotated",
        { ...single, retry: { initial: 20, max: 100 } },
        { username: "rotated", password }
      )
      assert.strictEqual(yield* whoAmI(pool), "rotated")
      yield* ask(outside, "ACL", "SETUSER", "rotated", "resetpass", ">second")
      // Those who are in stay in, until they are to prove who they are again.
      assert.strictEqual(yield* whoAmI(pool), "rotated")
      yield* ConnectionPool.use(pool, ({ send }) => send("SELECT", 1))
      const { lastFailure } = yield* eventually(
        ConnectionPool.status(pool),
        (status) => status.lastFailure?.kind === "permanent"
      )
      assert.include(lastFailure?.message, "WRONGPASS")
      current = "second"
      assert.strictEqual(yield* whoAmI(pool), "rotated")
    }))

  test("starts by itself when the server's password has been put right", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "CONFIG", "SET", "requirepass", "old")
      yield* Effect.addFinalizer(() => ask(outside, "CONFIG", "SET", "requirepass", ""))
      const { url } = yield* Server
      const connector = Redis.connector({ url, password: "new" })
      const starting = yield* ConnectionPool.make(connector, { ...single, retry: { initial: 20, max: 100 } }).pipe(
        Effect.flatMap(whoAmI),
        Effect.scoped,
        Effect.provide(silent),
        Effect.forkChild
      )
      const error = yield* connectFailure({ url })
      assert.strictEqual(kindOf(error), "permanent")
      assert.isUndefined(starting.pollUnsafe())
      yield* ask(outside, "CONFIG", "SET", "requirepass", "new")
      assert.strictEqual(yield* Effect.timeout(Fiber.join(starting), "3 seconds"), "default")
    }))

  test("replaces the connections of a user that was deleted, and says why there is no other", () =>
    Effect.gen(function* () {
      const outside = yield* withUsers
      const pool = yield* makePool(
        "deleted",
        { ...single, retry: { initial: 20, max: 100 } },
        { username: "app", password: "right" }
      )
      yield* ask(outside, "ACL", "DELUSER", "app")
      yield* eventually(ConnectionPool.status(pool), (status) => status.lastFailure?.kind === "permanent")
      yield* withUsers
      assert.strictEqual(yield* whoAmI(pool), "app")
    }))
})

onServer("Redis.connector: limits", {}, (test) => {
  test("no room for another client is overload, and the pool takes what there is", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const [, before] = yield* ask<[string, string]>(outside, "CONFIG", "GET", "maxclients")
      yield* Effect.addFinalizer(() => ask(outside, "CONFIG", "SET", "maxclients", before))
      yield* ask(outside, "CONFIG", "SET", "maxclients", 1)
      const { url } = yield* Server
      const refused = yield* connectFailure({ url })
      assert.strictEqual(kindOf(refused), "overloaded", refused.message)
      yield* ask(outside, "CONFIG", "SET", "maxclients", 4)
      const pool = yield* makePool("limited", { minConnections: 1, maxConnections: 8, acquireTimeout: "10 seconds" })
      yield* ask(outside, "DEL", "limited")
      const work = ConnectionPool.use(pool, ({ send }) => Effect.andThen(Effect.sleep(2), send("INCR", "limited")))
      yield* Effect.forEach(Array.from({ length: 200 }), () => work, { concurrency: "unbounded", discard: true })
      assert.strictEqual(yield* ask(outside, "GET", "limited"), "200")
      const { connectFailures, total } = yield* ConnectionPool.status(pool)
      assert.isAbove(connectFailures, 0)
      assert.isAtMost(total, 3)
    }))

  test("a server that drops idle connections after a second costs no borrower an error", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "CONFIG", "SET", "timeout", 1)
      yield* Effect.addFinalizer(() => ask(outside, "CONFIG", "SET", "timeout", 0))
      const pool = yield* makePool("dropped", { minConnections: 2, maxConnections: 4 })
      yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
      yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed >= 2 && idle === 2)
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => ConnectionPool.use(pool, ({ send }) => send("PING")),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([...new Set(answers)], ["PONG"])
    }))

  test("out of memory is told to the borrower, and costs no connection", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "CONFIG", "SET", "maxmemory", 1)
      yield* Effect.addFinalizer(() => ask(outside, "CONFIG", "SET", "maxmemory", 0))
      const pool = yield* makePool("full")
      const error = yield* Effect.flip(ConnectionPool.use(pool, ({ send }) => send("SET", "x", "1")))
      assert.deepInclude(error, { _tag: "RedisError", code: "OOM" })
      assert.strictEqual((yield* ConnectionPool.status(pool)).closed, 0)
    }))

  test("a server that has become a replica costs the connection of whoever wanted to write", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      yield* ask(outside, "REPLICAOF", "127.0.0.1", 1)
      yield* Effect.addFinalizer(() => ask(outside, "REPLICAOF", "NO", "ONE"))
      const pool = yield* makePool("replica")
      const error = yield* Effect.flip(ConnectionPool.use(pool, ({ send }) => send("SET", "x", "1")))
      assert.deepInclude(error, { _tag: "RedisError", code: "READONLY" })
      yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed === 1 && idle === 1)
    }))

  test("a slow network delays every answer and mixes up none", () =>
    Effect.gen(function* () {
      const { port } = yield* Server
      const slow = yield* slowProxy(port, 15)
      const pool = yield* makePool("slow", { minConnections: 4, maxConnections: 4 }, { port: slow })
      const answers = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, n) => n),
        (n) => ConnectionPool.use(pool, ({ send }) => send("ECHO", n)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers,
        Array.from({ length: 40 }, (_, n) => String(n))
      )
      assert.strictEqual((yield* ConnectionPool.status(pool)).closed, 0)
    }))
})

/** It takes 5 ms for each key that it loads, and answers meanwhile. */
const slowToLoad = { settings: { "key-load-delay": 5000, "loading-process-events-interval-bytes": 1024 } }

onServer("Redis.connector: a server that is still loading", slowToLoad, (test) => {
  test("refuses those who connect, and no borrower meets it", () =>
    Effect.gen(function* () {
      const { kill, start, url } = yield* Server
      const outside = yield* observer
      const keys = Array.from({ length: 100 }, (_, n) => [`key ${n}`, "x".repeat(100)]).flat()
      yield* ask(outside, "MSET", ...keys)
      yield* ask(outside, "SAVE")
      const pool = yield* makePool("loading", { ...single, retry: { initial: 20, max: 100 } })
      yield* kill
      const starting = yield* Effect.forkChild(start)
      const failure = yield* eventually(connectFailure({ url }), ({ message }) => message.includes("LOADING"))
      assert.strictEqual(kindOf(failure), "transient", failure.message)
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("EXISTS", "key 99")), 1)
      yield* Fiber.join(starting)
    }))
})

/** Everything that passes is late, in its order. */
const slowProxy = (serverPort: number, millis: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly listener: net.Server }>((resume) => {
      const late = (from: net.Socket, to: net.Socket) =>
        from
          .on("data", (chunk) => setTimeout(() => to.write(chunk), millis))
          .on("close", () => to.destroy())
          .on("error", () => to.destroy())
      const listener = net.createServer((client) => {
        const server = net.connect(serverPort, "127.0.0.1")
        late(client, server)
        late(server, client)
      })
      listener.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({ port: (listener.address() as net.AddressInfo).port, listener }))
      )
    }),
    ({ listener }) => Effect.sync(() => listener.close())
  ).pipe(Effect.map(({ port }) => port))

/** The certificate that the server shows at first, and the one that it is given later. */
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-redis-tls-"))
fs.chmodSync(folder, 0o755)
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))
const own = Certificate.hasOpenssl ? Certificate.make(folder, "redis.test") : undefined
const other = Certificate.hasOpenssl ? Certificate.make(folder, "other.test") : undefined
const read = (file: string | undefined) => (file === undefined ? "" : fs.readFileSync(file, "utf8"))
const ca = read(own?.cert)

const secureOptions = Effect.map(Server, ({ tlsPort }): Redis.Options => ({
  url: `rediss://127.0.0.1:${tlsPort}`,
  ssl: { ca, servername: "redis.test" }
}))

onServer(
  "Redis.connector: TLS",
  { certificate: own },
  (test) => {
    test("encrypts, with the authority and the server's name it is given", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("encrypted", single, yield* secureOptions)
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("PING")), "PONG")
        assert.strictEqual((yield* clientsOf(outside, "encrypted")).length, 1)
      }))

    test("ends a command that blocks, notices a death and makes as new over TLS too", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("secure", single, yield* secureOptions)
        const first = yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id))
        yield* Effect.timeoutOption(
          ConnectionPool.use(pool, ({ send }) => send("BLPOP", "nothing", 0)),
          "50 millis"
        )
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("CLIENT", "ID")), first)
        yield* ask(outside, "CLIENT", "KILL", "ID", first ?? 0)
        yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed === 1 && idle === 1)
      }))

    for (const [name, ssl] of Object.entries<Redis.Options["ssl"]>({
      "is not trusted": true,
      "comes from another authority": { ca: read(other?.cert), servername: "redis.test" },
      "is another server's": { ca, servername: "elsewhere.test" }
    })) {
      test(`a certificate that ${name} is a permanent failure`, () =>
        Effect.gen(function* () {
          const error = yield* connectFailure({ ...(yield* secureOptions), ssl })
          assert.strictEqual(kindOf(error), "permanent", error.message)
        }))
    }

    test("whoever comes with TLS to a port that does not know it fails in time", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const error = yield* connectFailure({ host: "127.0.0.1", port, ssl: { ca } }, { connectTimeout: "200 millis" })
        assert.strictEqual(error._tag, "ConnectError", error.message)
      }))

    test("whoever comes without TLS to a port that wants it fails in time", () =>
      Effect.gen(function* () {
        const { tlsPort } = yield* Server
        const error = yield* connectFailure({ host: "127.0.0.1", port: tlsPort }, { connectTimeout: "1 second" })
        assert.strictEqual(error._tag, "ConnectError", error.message)
      }))

    test("whom the server has no room for, it tells nothing with TLS: the failure is transient", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const [, before] = yield* ask<[string, string]>(outside, "CONFIG", "GET", "maxclients")
        yield* Effect.addFinalizer(() => ask(outside, "CONFIG", "SET", "maxclients", before))
        yield* ask(outside, "CONFIG", "SET", "maxclients", 1)
        const error = yield* connectFailure(yield* secureOptions)
        assert.strictEqual(kindOf(error), "transient", error.message)
      }))

    test("goes on with what it has when the certificate is replaced, and connects again when it is trusted", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const show = (files: typeof own) =>
          ask(outside, "CONFIG", "SET", "tls-cert-file", files?.cert ?? "", "tls-key-file", files?.key ?? "")
        const pool = yield* makePool("replaced", { ...single, retry: { initial: 20, max: 100 } }, yield* secureOptions)
        const first = yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id))
        yield* Effect.addFinalizer(() => show(own))
        yield* show(other)
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("CLIENT", "ID")), first)
        yield* ask(outside, "CLIENT", "KILL", "ID", first ?? 0)
        yield* eventually(ConnectionPool.status(pool), (status) => status.lastFailure?.kind === "permanent")
        yield* show(own)
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ send }) => send("PING")), "PONG")
      }))
  },
  RedisServer.unavailable ?? (own === undefined ? "there is no openssl to make a certificate with" : undefined)
)
