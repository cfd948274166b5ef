import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Page } from "playwright-core"
import { ConnectionPool } from "../../../src/index.ts"
import { eventually } from "../../support/Eventually.ts"
import { barriers, holding, inBrowser, poolName, says, withPage } from "./ConsolePage.ts"

const panels = [
  "Over time",
  "What each connection does",
  "Connections",
  "Waiting",
  "Holders by operation",
  "Events",
  "Sizing",
  "Advisor",
  "Configuration",
  "Since it was made",
  "Actions"
]

const headings = (page: Page) => Effect.promise(() => page.locator("#loaded h2:visible").allInnerTexts())

/** How many pixels of a canvas have been drawn. */
const drawn = (page: Page, selector: string) =>
  Effect.promise(() =>
    page.locator(selector).evaluate((node) => {
      const canvas = node as unknown as {
        width: number
        height: number
        getContext(kind: "2d"): {
          getImageData(x: number, y: number, width: number, height: number): { data: Uint8Array }
        }
      }
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
      return data.filter((value, index) => index % 4 === 3 && value > 0).length
    })
  )

const tab = (page: Page) => page.getByRole("tab", { selected: true })

inBrowser("the console in a real browser", (when) => {
  for (const [name, width, scheme] of [
    ["on a desk, by day", 1280, "light"],
    ["on a desk, at night", 1280, "dark"],
    ["on a phone, by day", 360, "light"],
    ["on a phone, at night", 360, "dark"]
  ] as const) {
    when(`shows every panel, has no barrier and fits: ${name}`, () =>
      withPage({ width, scheme }, ({ complaints, page, pool }) =>
        Effect.gen(function* () {
          yield* holding(pool, "Orders.list")
          yield* says(page.locator("#operations"), /Orders\.list/)
          const shown = yield* headings(page)
          for (const panel of panels) assert.include(shown, panel)
          for (const chart of ["a", "b", "c", "d"]) assert.isAbove(yield* drawn(page, `#chart-${chart} canvas`), 100)
          assert.isAbove(yield* drawn(page, "#lanes-canvas"), 100)
          assert.strictEqual(yield* Effect.promise(() => page.evaluate("document.documentElement.scrollWidth")), width)
          assert.deepStrictEqual(yield* barriers(page), [])
          assert.deepStrictEqual(complaints, [])
        })
      )
    )
  }

  when("is read with the theme that is asked for, whatever the system has", () =>
    withPage({ scheme: "light" }, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor")
        const byDay = yield* Effect.promise(background)
        const button = page.getByRole("button", { name: /^Theme/ })
        yield* Effect.promise(() => button.click())
        yield* Effect.promise(() => button.click())
        assert.strictEqual(yield* Effect.promise(() => button.innerText()), "Theme: dark")
        assert.notStrictEqual(yield* Effect.promise(background), byDay)
        assert.deepStrictEqual(yield* barriers(page), [])
      })
    )
  )

  when("names a leak, marks it in words, and says when it has come back", () =>
    withPage({}, ({ page, pool }) =>
      Effect.gen(function* () {
        const fiber = yield* holding(pool, "Jobs.nightly")
        yield* says(page.locator("#verdict"), /leak suspected/i)
        yield* says(page.locator("#verdict"), /Jobs\.nightly/)
        yield* says(page.locator("#lanes-note"), /1 leak suspected/)
        yield* says(page.locator("#connections"), /⚑ Jobs\.nightly/)
        yield* says(page.locator("#events"), /leak suspected/i)
        yield* Fiber.interrupt(fiber)
        yield* says(page.locator("#events"), /leak returned/i)
        yield* says(page.locator("#verdict"), /healthy/i)
      })
    )
  )

  when("tells an outage with the driver's own words in every panel that it concerns, and its end", () =>
    withPage({}, ({ page, server }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        yield* server.goDown("connect ECONNREFUSED 10.0.0.1:5432")
        yield* says(page.locator("#verdict"), /cannot connect/i)
        yield* says(page.locator("#verdict"), /ECONNREFUSED 10\.0\.0\.1/)
        yield* says(page.locator("#failures"), /ECONNREFUSED 10\.0\.0\.1/)
        yield* says(page.locator("#events"), /connect failed/i)
        yield* says(page.locator("#connections"), /No connection is open/)
        yield* says(tab(page), /cannot connect/i)
        assert.match(yield* Effect.promise(() => page.title()), /^✕|cannot connect/i)
        assert.deepStrictEqual(yield* barriers(page), [])
        yield* server.comeBack
        yield* says(page.locator("#verdict"), /healthy/i)
        yield* says(page.locator("#failures-none"), /none/i)
      })
    )
  )

  when("tells a deadlock", () =>
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
        yield* says(page.locator("#verdict"), /deadlock/i)
        yield* says(page.locator("#events"), /deadlock/i)
      })
    )
  )

  when("lists who waits, for how long, and when each gives up", () =>
    withPage({}, ({ page, pool }) =>
      Effect.gen(function* () {
        yield* holding(pool, "Jobs.one")
        yield* holding(pool, "Jobs.two")
        yield* holding(pool, "Checkout.pay")
        const row = page.locator("#waiters tbody tr")
        yield* says(row, /Checkout\.pay/)
        const cells = yield* Effect.promise(() => row.locator("td").allInnerTexts())
        assert.strictEqual(cells[0], "1")
        assert.match(cells[2] ?? "", /\d+ m?s/)
        assert.match(cells[3] ?? "", /\d+(\.\d+)? s/)
      })
    )
  )

  when("finds an event again by a word of it, and stands still while somebody reads", () =>
    withPage({}, ({ page, server }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        yield* server.goDown("the disk is full")
        yield* says(page.locator("#events"), /the disk is full/)
        yield* Effect.promise(() => page.getByLabel("Find").fill("disk is full"))
        const lines = () => page.locator("#events li").allInnerTexts()
        const found = yield* Effect.promise(lines)
        assert.isAbove(found.length, 0)
        assert.isTrue(found.every((line) => line.includes("the disk is full")))
        yield* Effect.promise(() => page.getByLabel("Freeze").check())
        yield* says(page.locator("#events-frozen"), /Frozen/)
        const frozen = yield* Effect.promise(lines)
        const note = page.locator("#link-at")
        const before = yield* Effect.promise(() => note.innerText())
        yield* eventually(
          Effect.promise(() => note.innerText()),
          (now) => now !== before
        )
        assert.deepStrictEqual(yield* Effect.promise(lines), frozen)
        yield* Effect.promise(() => page.getByLabel("Freeze").uncheck())
        assert.isAbove((yield* Effect.promise(lines)).length, frozen.length)
      })
    )
  )

  when("copies the diagnostics", () =>
    withPage({}, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        yield* Effect.promise(() => page.context().grantPermissions(["clipboard-read", "clipboard-write"]))
        yield* Effect.promise(() => page.getByRole("button", { name: "Copy diagnostics" }).click())
        yield* says(page.locator("#answer"), /Diagnostics copied/)
        const text = yield* Effect.promise(() => page.evaluate("navigator.clipboard.readText()"))
        assert.strictEqual((JSON.parse(text as string) as { report: { name: string } }).report.name, poolName)
      })
    )
  )

  when("shows the diagnostics where there is no clipboard", () =>
    withPage({}, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        yield* Effect.promise(() =>
          page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        )
        yield* Effect.promise(() => page.getByRole("button", { name: "Copy diagnostics" }).click())
        const text = yield* Effect.promise(() => page.getByRole("textbox", { name: "Diagnostics" }).inputValue())
        const { events, history, report } = JSON.parse(text) as Record<string, unknown>
        assert.isTrue([events, history, report].every((part) => part !== undefined))
      })
    )
  )

  when("says that its pool has gone, and takes up the next one of that name", () =>
    withPage({}, ({ page, pool, server }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        yield* ConnectionPool.drain(pool, 0)
        yield* says(page, /no pool yet|ended|closed/i)
        yield* ConnectionPool.make(server.complete, { name: pool.name, minConnections: 2, maxConnections: 2 })
        yield* says(page.locator("#verdict"), /healthy/i)
      })
    )
  )

  when("says that the server cannot be reached, and goes on when it can", () =>
    withPage({}, ({ page, pool, server }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        yield* Effect.promise(() => page.route("**/watch", (route) => route.abort()))
        yield* ConnectionPool.drain(pool, 0)
        yield* ConnectionPool.make(server.complete, { name: pool.name, minConnections: 1, maxConnections: 2 })
        yield* says(page.locator("#link-words"), /^Reconnecting in/)
        yield* Effect.promise(() => page.unroute("**/watch"))
        yield* says(page.locator("#link-words"), /live/i)
      })
    )
  )
})
