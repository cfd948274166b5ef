/** The console of a pool in a real browser, for the tests beside it. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { layer } from "@effect/vitest"
import { Context, Data, Effect, Layer, Logger, Metric, type Scope } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import { type Browser, chromium, type Locator, type Page } from "playwright-core"
import { ConnectionPool, PoolRegistry } from "../../../src/index.ts"
import { PoolHttp } from "../../../src/http/index.ts"
import { type FakeConnection, FakeServer } from "../../support/FakeServer.ts"

const executablePath = "/usr/bin/chromium"

/** Debian's package `chromium`; the gate installs it. */
const hasBrowser = fs.existsSync(executablePath)

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]

class OneBrowser extends Context.Service<OneBrowser, Browser>()("effect-pool/test/OneBrowser") {
  static readonly layer = Layer.effect(
    OneBrowser,
    Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args: flags })),
      (browser) => Effect.promise(() => browser.close())
    )
  )
}

type Story = (name: string, story: () => Effect.Effect<unknown, unknown, OneBrowser | Scope.Scope>) => void

/** Stories of one browser. Where there is none, each says that it was not run. */
export const inBrowser = (name: string, tell: (when: Story) => void): void =>
  layer(hasBrowser ? OneBrowser.layer : (Layer.empty as unknown as typeof OneBrowser.layer), {
    excludeTestServices: true,
    timeout: "60 seconds"
  })(name, (it) =>
    tell((story, run) => {
      if (hasBrowser) it.effect(story, run, 60_000)
      else it.effect.skip(`${story} (not run: ${executablePath} is not there)`, run)
    })
  )

export interface View {
  readonly page: Page
  readonly server: FakeServer
  readonly pool: ConnectionPool.ConnectionPool<FakeConnection>
  readonly address: string
  /** What the browser complained of: scripts that fail, and breaches of the page's policy. */
  readonly complaints: ReadonlyArray<string>
}

export interface ViewOptions extends PoolHttp.Options {
  readonly width?: number
  readonly scheme?: "light" | "dark"
  /** Pools besides the one that is looked at. */
  readonly others?: ReadonlyArray<string>
}

export const poolName = "orders <b>"

/** The page of a pool of its own. */
export const withPage = <A, E>(
  { others = [], scheme = "light", width = 1280, ...options }: ViewOptions,
  story: (view: View) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const server = new FakeServer()
    const settings = {
      minConnections: 1,
      maxConnections: 2,
      leakThreshold: "1 second",
      drainTimeout: 0,
      retry: { initial: "300 millis", max: "300 millis" }
    } as const
    const pool = yield* ConnectionPool.make(server.complete, { ...settings, name: poolName })
    for (const name of others) yield* ConnectionPool.make(server.complete, { ...settings, name })
    const address = HttpServer.formatAddress((yield* HttpServer.HttpServer).address)
    const browser = yield* OneBrowser
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme })),
      (opened) => Effect.promise(() => opened.close())
    )
    const complaints: Array<string> = []
    const page = yield* Effect.promise(() => context.newPage())
    page.setDefaultTimeout(15_000)
    page.on("pageerror", (error) => complaints.push(String(error)))
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text())
    })
    yield* Effect.promise(() => page.goto(`${address}/console`))
    return yield* story({ page, server, pool, address, complaints })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      HttpRouter.serve(PoolHttp.layer(options), { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(
          NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
        )
      )
    ),
    Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    // What these pools log is not what is tested, and would hide what is.
    Effect.provide(Layer.fresh(Logger.layer([])))
  )

/** It was not said. Shows what was, instead. */
class NotSaid extends Data.TaggedError("NotSaid")<{ readonly words: RegExp; readonly instead: string }> {
  override get message(): string {
    return `nothing on the page matches ${this.words}; it says: ${this.instead.slice(0, 2000)}`
  }
}

/** Waits until the page says it, anywhere or there. */
export const says = (where: Page | Locator, words: RegExp) =>
  Effect.tryPromise({
    try: () => where.getByText(words).first().waitFor({ state: "visible" }),
    catch: () => words
  }).pipe(
    Effect.catch(() =>
      Effect.flatMap(
        Effect.promise(() => ("content" in where ? where.locator("body") : where).first().innerText()),
        (instead) => Effect.die(new NotSaid({ words, instead }))
      )
    )
  )

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** What a person with a disability could not use, seriously. */
export const barriers = (page: Page) =>
  Effect.promise(async () => {
    await page.evaluate(axe)
    const found = await page.evaluate("axe.run()")
    const { violations } = found as { violations: ReadonlyArray<{ id: string; impact: string }> }
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id)
  })

/** Holds a connection under a name, for as long as the scope lives or the work takes. */
export const holding = Effect.fnUntraced(function* (
  pool: ConnectionPool.ConnectionPool<FakeConnection>,
  operation: string,
  work: Effect.Effect<void> = Effect.never
) {
  const run = Effect.fn(operation)(() => ConnectionPool.use(pool, () => work))
  return yield* Effect.forkScoped(run(), { startImmediately: true })
})
