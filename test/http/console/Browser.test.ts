import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Metric, Redacted, type Scope } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import { chromium, type Page } from "playwright-core"
import { ConnectionPool, PoolRegistry } from "../../../src/index.ts"
import { PoolHttp } from "../../../src/http/index.ts"
import { type FakeConnection, FakeServer } from "../../support/FakeServer.ts"

const executablePath = "/usr/bin/chromium"

const hasBrowser = fs.existsSync(executablePath)

/** Debian's package `chromium`; the gate installs it. */
const when = hasBrowser ? it.live : it.live.skip
const why = hasBrowser ? "" : ` (not run: ${executablePath} is not there)`

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]

const token = Redacted.make("tok")

interface View {
  readonly page: Page
  readonly server: FakeServer
  readonly pool: ConnectionPool.ConnectionPool<FakeConnection>
  /** What the browser complained of: scripts that fail, and breaches of the page's policy. */
  readonly complaints: ReadonlyArray<string>
}

/** The page of a pool of its own, in a real browser. */
const withPage = <A, E>(
  options: { readonly width?: number; readonly scheme?: "light" | "dark"; readonly token?: Redacted.Redacted },
  story: (view: View) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const server = new FakeServer()
    const pool = yield* ConnectionPool.make(server.complete, {
      name: "orders <b>",
      minConnections: 1,
      maxConnections: 2,
      leakThreshold: "1 second",
      drainTimeout: 0,
      retry: { initial: "300 millis" }
    })
    const { address } = yield* HttpServer.HttpServer
    const browser = yield* Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args: flags })),
      (open) => Effect.promise(() => open.close())
    )
    const { scheme = "light", width = 1280 } = options
    const complaints: Array<string> = []
    const page = yield* Effect.promise(() =>
      browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme, bypassCSP: false })
    )
    page.setDefaultTimeout(15_000)
    page.on("pageerror", (error) => complaints.push(String(error)))
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text())
    })
    yield* Effect.promise(() => page.goto(`${HttpServer.formatAddress(address)}/console`))
    return yield* story({ page, server, pool, complaints })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      HttpRouter.serve(PoolHttp.layer({ token: options.token }), { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(
          NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
        )
      )
    ),
    Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

/** Waits until the page says it. */
const says = (page: Page, words: RegExp) =>
  Effect.promise(() => page.getByText(words).first().waitFor({ state: "visible" }))

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** What a person with a disability could not use, seriously. */
const barriers = (page: Page) =>
  Effect.promise(async () => {
    await page.evaluate(axe)
    const found = await page.evaluate("axe.run()")
    const { violations } = found as { violations: ReadonlyArray<{ id: string; impact: string }> }
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id)
  })

describe("the console in a real browser", { timeout: 60_000 }, () => {
  for (const [name, width, scheme] of [
    ["on a desk, by day", 1280, "light"],
    ["on a phone, at night", 360, "dark"]
  ] as const) {
    when(`shows every panel, has no barrier and fits: ${name}${why}`, () =>
      withPage({ width, scheme }, ({ complaints, page }) =>
        Effect.gen(function* () {
          yield* says(page, /What each connection does/)
          const headings = yield* Effect.promise(() => page.locator("h2:visible").allInnerTexts())
          for (const panel of [
            "What each connection does",
            "Connections",
            "Waiting",
            "Holders by operation",
            "Events"
          ]) {
            assert.include(headings, panel)
          }
          for (const panel of ["Sizing", "Advisor", "Configuration", "Actions"]) assert.include(headings, panel)
          assert.strictEqual(yield* Effect.promise(() => page.evaluate("document.documentElement.scrollWidth")), width)
          assert.deepStrictEqual(yield* barriers(page), [])
          assert.deepStrictEqual(complaints, [])
        })
      )
    )
  }

  when(`names a leak, and marks it in words${why}`, () =>
    withPage({}, ({ page, pool }) =>
      Effect.gen(function* () {
        const nightly = Effect.fn("Jobs.nightly")(() => ConnectionPool.use(pool, () => Effect.never))
        const fiber = yield* Effect.forkScoped(nightly())
        yield* says(page, /leak suspected/i)
        yield* says(page, /Jobs\.nightly/)
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  when(`tells an outage with the driver's own words${why}`, () =>
    withPage({}, ({ page, server }) =>
      Effect.gen(function* () {
        yield* says(page, /healthy/i)
        yield* server.goDown("connect ECONNREFUSED 10.0.0.1:5432")
        yield* says(page, /cannot connect/i)
        yield* says(page, /ECONNREFUSED 10\.0\.0\.1/)
        yield* server.comeBack
        yield* says(page, /healthy/i)
      })
    )
  )

  when(`tells a deadlock${why}`, () =>
    withPage({}, ({ page, pool }) =>
      Effect.gen(function* () {
        const nested = Effect.scoped(
          Effect.gen(function* () {
            yield* ConnectionPool.acquire(pool)
            yield* Effect.sleep("100 millis")
            yield* ConnectionPool.acquire(pool)
          })
        )
        yield* Effect.exit(Effect.all([nested, nested], { concurrency: 2 }))
        yield* says(page, /deadlock/i)
      })
    )
  )

  when(`offers no action without a token, and says why${why}`, () =>
    withPage({}, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page, /no token is configured/)
        assert.isTrue(yield* Effect.promise(() => page.getByRole("button", { name: "Check idle" }).isDisabled()))
      })
    )
  )

  when(`acts with a token, and says what was done; with a wrong one it says so${why}`, () =>
    withPage({ token }, ({ page, pool }) =>
      Effect.gen(function* () {
        yield* says(page, /healthy/i)
        const act = (given: string) =>
          Effect.promise(async () => {
            await page.getByLabel("Token").fill(given)
            await page.getByRole("button", { name: "Use", exact: true }).click()
            await page.getByRole("button", { name: "Check idle" }).click()
          })
        yield* act("wrong")
        yield* says(page, /bearer token is missing or wrong/i)
        yield* act("tok")
        yield* says(page, /0 checked/)
        const events = yield* ConnectionPool.recentEvents(pool)
        assert.isTrue(events.some((event) => event._tag === "OperatorAction"))
      })
    )
  )

  when(`says that its pool has gone${why}`, () =>
    withPage({ token }, ({ page, pool }) =>
      Effect.gen(function* () {
        yield* says(page, /healthy/i)
        yield* ConnectionPool.drain(pool, 0)
        yield* says(page, /no pool yet|ended|closed/i)
      })
    )
  )
})
