import { assert } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import type { Page } from "playwright-core"
import { ConnectionPool } from "../../../src/index.ts"
import { holding, inBrowser, poolName, says, withPage } from "./ConsolePage.ts"

const press = (page: Page, ...keys: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    for (const key of keys) await page.keyboard.press(key)
  })

/** What has the focus, in the words that a screen reader would begin with. */
const focused = (page: Page) =>
  Effect.promise(() =>
    page.evaluate(
      "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id + document.activeElement.innerText"
    )
  ) as Effect.Effect<string>

inBrowser("the console by keyboard", (when) => {
  when("goes past the tabs to the pool with two keys", () =>
    withPage({}, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        yield* press(page, "Tab")
        assert.include(yield* focused(page), "Skip to the pool")
        yield* press(page, "Enter")
        assert.match(yield* focused(page), /^panel/)
      })
    )
  )

  when("chooses among pools with the arrow keys, of which one is reached by Tab", () =>
    withPage({ others: ["reports"] }, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page.getByRole("tab"), /reports/)
        yield* Effect.promise(() => page.getByRole("tab", { selected: true }).focus())
        assert.include(yield* focused(page), poolName)
        yield* press(page, "ArrowRight")
        assert.include(yield* focused(page), "reports")
        yield* says(page.locator("#name"), /^reports$/)
        yield* press(page, "ArrowRight")
        assert.include(yield* focused(page), poolName)
        yield* says(page.locator("#name"), /^orders <b>$/)
        yield* press(page, "Tab")
        assert.notInclude(yield* focused(page), "reports")
      })
    )
  )

  when("sorts a table by a heading, and the other way round", () =>
    withPage({}, ({ page, pool }) =>
      Effect.gen(function* () {
        yield* holding(pool, "Jobs.one")
        yield* holding(pool, "Jobs.two")
        const rows = page.locator("#connections tbody tr")
        yield* Effect.promise(() => rows.nth(1).waitFor())
        const order = () => rows.locator("td:first-child").allInnerTexts()
        const head = page.locator("#connections").getByRole("columnheader", { name: /^Id\b/ })
        yield* Effect.promise(() => head.getByRole("button").focus())
        yield* press(page, "Enter")
        assert.strictEqual(yield* Effect.promise(() => head.getAttribute("aria-sort")), "descending")
        assert.deepStrictEqual(yield* Effect.promise(order), ["#2", "#1"])
        yield* press(page, "Space")
        assert.strictEqual(yield* Effect.promise(() => head.getAttribute("aria-sort")), "ascending")
        assert.deepStrictEqual(yield* Effect.promise(order), ["#1", "#2"])
      })
    )
  )

  when("reads the lanes: up and down among connections, left and right among their leases", () =>
    withPage({}, ({ page, pool }) =>
      Effect.gen(function* () {
        yield* holding(pool, "Jobs.one")
        yield* Fiber.join(yield* holding(pool, "Jobs.before", Effect.sleep("300 millis")))
        yield* holding(pool, "Jobs.two")
        const lanes = page.locator("#lanes-list")
        // Until a second has come in which both hold: who had a connection when it was chosen is what is read.
        for (const held of ["Jobs.one", "Jobs.two"]) {
          yield* Effect.promise(() => lanes.getByRole("option").filter({ hasText: held }).waitFor())
        }
        const words = page.locator("#lanes-words")
        yield* Effect.promise(() => lanes.getByRole("option", { selected: true }).focus())
        yield* says(words, /^Connection 1 .*Jobs\.one/)
        yield* press(page, "ArrowDown")
        yield* says(words, /^Connection 2 .*Jobs\.two/)
        yield* press(page, "ArrowLeft")
        yield* says(words, /^Connection 2 .*(Jobs\.before|no operation name)/)
        yield* press(page, "ArrowRight")
        yield* says(words, /^Connection 2 .*Jobs\.two/)
        yield* press(page, "Home")
        yield* says(words, /^Connection 1 .*Jobs\.one/)
      })
    )
  )

  when("asks before anybody is interrupted, and Escape does nothing and goes back", () =>
    withPage({ token: Redacted.make("tok") }, ({ page, pool }) =>
      Effect.gen(function* () {
        yield* holding(pool, "Jobs.one")
        yield* says(page.locator("#connections"), /Jobs\.one/)
        yield* Effect.promise(() => page.getByLabel("Token").fill("tok"))
        yield* press(page, "Enter")
        const evict = page.getByRole("button", { name: "Evict connection 1" })
        yield* Effect.promise(() => evict.focus())
        yield* press(page, "Enter")
        yield* says(page.getByRole("dialog"), /Evict connection 1\? It closes when Jobs\.one returns it/)
        yield* press(page, "Escape")
        assert.isFalse(yield* Effect.promise(() => page.getByRole("dialog").isVisible()))
        assert.strictEqual(yield* focused(page), "Evict connection 1")
        const { leases } = yield* ConnectionPool.status(pool)
        assert.strictEqual(leases, 1)
        assert.isEmpty((yield* ConnectionPool.recentEvents(pool)).filter(({ _tag }) => _tag === "OperatorAction"))
      })
    )
  )

  when("goes through the whole page with Tab alone, and always shows where it is", () =>
    withPage({}, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        const seen = new Set<string>()
        for (let step = 0; step < 80; step++) {
          yield* press(page, "Tab")
          const [name, isMarked] = (yield* Effect.promise(() =>
            page.evaluate(`(() => {
              const { activeElement: node } = document
              const { boxShadow, outlineStyle } = getComputedStyle(node)
              const label = node.closest("label") ?? node
              const shown = getComputedStyle(label.querySelector("input + span") ?? node)
              const marked = outlineStyle !== "none" || boxShadow !== "none" || shown.outlineStyle !== "none"
              return [node.id || node.getAttribute("aria-label") || node.innerText || node.name, node === document.body || marked]
            })()`)
          )) as [string, boolean]
          assert.isTrue(isMarked, name)
          seen.add(name)
        }
        for (const reached of ["copy", "theme", "tab", "connections", "waiters", "operations", "events"]) {
          assert.isTrue(seen.has(reached), `${reached} of ${[...seen].join(", ")}`)
        }
      })
    )
  )
})
