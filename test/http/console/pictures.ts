/**
 * The pictures of the console in docs/pictures: `npm run pictures`, some two minutes. A service with a pool of ten has a normal minute,
 * then a report that keeps its connections, and then its server goes away.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Console, Effect, Layer, Logger, Random, Redacted, Schedule } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { chromium } from "playwright-core"
import { ConnectionPool, Connector } from "effect-pool"
import { PoolHttp } from "effect-pool/http"

const executablePath = "/usr/bin/chromium"
const folder = fileURLToPath(new URL("../../../../docs/pictures/", import.meta.url))

let isDown = false

const connector = Connector.make({
  name: "orders",
  connect: Effect.suspend(() =>
    isDown ? Effect.fail("connect ECONNREFUSED 10.0.3.17:5432") : Effect.delay(Effect.succeed({}), "60 millis")
  )
})

type Pool = ConnectionPool.ConnectionPool<object>

/** An operation that comes so often a second and takes so long, more or less. */
const traffic = (pool: Pool, name: string, perSecond: number, millis: number) => {
  const run = Effect.fn(name)(() =>
    ConnectionPool.use(pool, () => Effect.flatMap(Random.next, (part) => Effect.sleep(millis * (0.5 + part))))
  )
  const one = Effect.flatMap(Random.next, (part) =>
    Effect.forkScoped(Effect.ignore(Effect.delay(run(), (part * 1000) / perSecond)))
  )
  return Effect.forkScoped(Effect.repeat(one, Schedule.spaced(1000 / perSecond)))
}

const service = Effect.fnUntraced(function* (pool: Pool) {
  yield* traffic(pool, "OrderService.find", 12, 60)
  yield* traffic(pool, "OrderService.place", 3, 300)
  yield* traffic(pool, "Checkout.pay", 2, 500)
  yield* traffic(pool, "SearchIndex.refresh", 0.3, 2500)
})

/** It opens a scope and waits in it for something else. */
const report = Effect.fn("ReportService.export")((pool: Pool) =>
  Effect.scoped(Effect.andThen(ConnectionPool.acquire(pool), Effect.never))
)

const shot = Effect.fnUntraced(function* (url: string, name: string, scheme: "light" | "dark", width: number) {
  const height = width < 500 ? 780 : 1180
  yield* Effect.acquireUseRelease(
    Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] })),
    (browser) =>
      Effect.promise(async () => {
        const page = await browser.newPage({
          viewport: { width, height },
          colorScheme: scheme,
          deviceScaleFactor: width < 500 ? 2 : 1
        })
        await page.goto(url)
        await page.getByRole("heading", { name: "What each connection does" }).waitFor()
        // The first second after the history: everything is drawn.
        await page.locator("#lanes-list li").first().waitFor()
        await page.screenshot({ path: `${folder}${name}.png` })
        if (name !== "console-leak-dark") return
        await page
          .locator("section", { has: page.locator("#lanes") })
          .screenshot({ path: `${folder}console-lanes-dark.png` })
      }),
    (browser) => Effect.promise(() => browser.close())
  )
  yield* Console.log(name)
})

const program = Effect.gen(function* () {
  const { address } = yield* HttpServer.HttpServer
  const url = `${HttpServer.formatAddress(address)}/console`
  const pool = yield* ConnectionPool.make(connector, {
    name: "orders",
    minConnections: 4,
    maxConnections: 10,
    acquireTimeout: "5 seconds",
    leakThreshold: "10 seconds",
    drainTimeout: 0
  })
  yield* ConnectionPool.make(connector, { name: "reports", minConnections: 1, maxConnections: 3, drainTimeout: 0 })
  yield* service(pool)
  yield* Effect.sleep("60 seconds")
  yield* Effect.forEach([1, 2, 3], () => Effect.andThen(Effect.forkScoped(report(pool)), Effect.sleep("3 seconds")))
  yield* Effect.sleep("18 seconds")
  yield* shot(url, "console-leak-dark", "dark", 1280)
  yield* shot(url, "console-leak-light", "light", 1280)
  yield* shot(url, "console-leak-phone", "dark", 380)
  isDown = true
  yield* ConnectionPool.recycle(pool, { interrupt: true })
  yield* Effect.sleep("12 seconds")
  yield* shot(url, "console-outage-light", "light", 1280)
})

const routes = HttpRouter.serve(PoolHttp.layer({ token: Redacted.make("demo") }), {
  disableLogger: true,
  disableListenLog: true
}).pipe(
  Layer.provideMerge(
    NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 second" })
  ),
  Layer.provideMerge(Logger.layer([]))
)

await Effect.runPromise(Effect.provide(Effect.scoped(program), routes))
