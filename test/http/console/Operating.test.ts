import { assert } from "@effect/vitest"
import { Effect, Exit, Redacted } from "effect"
import type { Page } from "playwright-core"
import { ConnectionPool } from "../../../src/index.ts"
import { holding, inBrowser, poolName, says, type View, withPage } from "./ConsolePage.ts"

const token = Redacted.make("tok")

const bring = (page: Page, given: string) =>
  Effect.promise(async () => {
    await page.getByLabel("Token").fill(given)
    await page.getByRole("button", { name: "Use", exact: true }).click()
  })

const form = (page: Page, action: string) => page.locator(`form[data-action="${action}"]`)

const send = (page: Page, action: string) => Effect.promise(() => form(page, action).getByRole("button").click())

const confirm = (page: Page) => Effect.promise(() => page.getByRole("button", { name: "Do it" }).click())

const answers = (page: Page, words: RegExp) => says(page.locator("#answer"), words)

const actionsOf = ({ pool }: View) =>
  Effect.map(ConnectionPool.recentEvents(pool), (events) =>
    events.flatMap((event) => (event._tag === "OperatorAction" ? [event.action] : []))
  )

/** What an operator does for each action. */
const everyAction: Record<string, (page: Page) => Effect.Effect<void>> = {
  resize: (page) =>
    Effect.andThen(
      Effect.promise(() => form(page, "resize").getByLabel("Maximum").fill("5")),
      send(page, "resize")
    ),
  pause: (page) => Effect.andThen(send(page, "pause"), confirm(page)),
  resume: (page) => send(page, "resume"),
  recycle: (page) => send(page, "recycle"),
  evict: (page) =>
    Effect.andThen(
      Effect.promise(() => page.getByRole("button", { name: "Evict connection 1" }).click()),
      confirm(page)
    ),
  "check-idle": (page) => send(page, "check-idle"),
  "capture-stacks": (page) => send(page, "capture-stacks"),
  drain: (page) =>
    Effect.andThen(
      Effect.promise(() => form(page, "drain").getByLabel("Pool").fill(poolName)),
      send(page, "drain")
    )
}

inBrowser("an operator at the console", (when) => {
  when("is offered no action without a token, and told why", () =>
    withPage({}, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page, /no token is configured/)
        const buttons = page.locator("form[data-action] button, #connections td button")
        const states = yield* Effect.promise(async () =>
          Promise.all((await buttons.all()).map((button) => button.isDisabled()))
        )
        assert.deepStrictEqual(states, Array(8).fill(true))
      })
    )
  )

  when("is offered what is allowed, and nothing else", () =>
    withPage({ token, actions: ["resize", "resume"] }, ({ page }) =>
      Effect.gen(function* () {
        yield* says(page.locator("#kind"), /healthy/i)
        const enabled = yield* Effect.promise(() =>
          page.locator("form[data-action] fieldset:enabled > legend").allInnerTexts()
        )
        assert.deepStrictEqual(enabled, ["Resize", "Resume"])
      })
    )
  )

  for (const [action, act] of Object.entries(everyAction)) {
    when(`is refused with a wrong token: ${action}`, () =>
      withPage({ token }, (view) =>
        Effect.gen(function* () {
          const { page, pool } = view
          yield* says(page.locator("#kind"), /healthy/i)
          yield* bring(page, "wrong")
          yield* act(page)
          yield* answers(page, /bearer token is missing or wrong/i)
          assert.deepStrictEqual(yield* actionsOf(view), [])
          const { maxConnections, state, total } = yield* ConnectionPool.status(pool)
          assert.deepStrictEqual({ maxConnections, open: total, state }, { maxConnections: 2, open: 1, state: "ready" })
        })
      )
    )
  }

  const withToken = (what: string, story: (view: View) => ReturnType<Parameters<typeof withPage>[1]>) =>
    when(what, () =>
      withPage({ token }, (view) =>
        Effect.gen(function* () {
          yield* says(view.page.locator("#kind"), /healthy/i)
          yield* bring(view.page, "tok")
          yield* story(view)
        })
      )
    )

  withToken("resizes: only what is filled in", (view) =>
    Effect.gen(function* () {
      yield* everyAction["resize"]!(view.page)
      yield* answers(view.page, /resize to maxConnections 5/i)
      const { maxConnections, minConnections } = yield* ConnectionPool.status(view.pool)
      assert.deepStrictEqual({ maxConnections, minConnections }, { maxConnections: 5, minConnections: 1 })
      assert.lengthOf(yield* actionsOf(view), 1)
      yield* says(view.page.locator("#events"), /resize to maxConnections 5/i)
    })
  )

  withToken("reads which value cannot be, and nothing is changed", (view) =>
    Effect.gen(function* () {
      const { page, pool } = view
      yield* Effect.promise(async () => {
        await form(page, "resize").getByLabel("Minimum").fill("7")
        await form(page, "resize").getByLabel("Maximum").fill("5")
      })
      yield* send(page, "resize")
      yield* answers(page, /minConnections/)
      assert.strictEqual((yield* ConnectionPool.status(pool)).maxConnections, 2)
      assert.deepStrictEqual(yield* actionsOf(view), [])
    })
  )

  withToken("pauses after a question, and resumes", ({ page, pool }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => form(page, "pause").getByLabel("acquires fail").check())
      yield* send(page, "pause")
      yield* says(page.getByRole("dialog"), /every acquire fails/)
      yield* confirm(page)
      yield* answers(page, /pause/i)
      yield* says(page.locator("#verdict"), /paused/i)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(ConnectionPool.use(pool, () => Effect.void))))
      yield* send(page, "resume")
      yield* answers(page, /resume/i)
      yield* ConnectionPool.use(pool, () => Effect.void)
    })
  )

  withToken("does not pause whoever says no", (view) =>
    Effect.gen(function* () {
      yield* send(view.page, "pause")
      yield* Effect.promise(() => view.page.getByRole("button", { name: "Cancel" }).click())
      assert.deepStrictEqual(yield* actionsOf(view), [])
    })
  )

  withToken("recycles without a question where nobody is interrupted", ({ page, pool }) =>
    Effect.gen(function* () {
      yield* everyAction["recycle"]!(page)
      yield* answers(page, /recycle/i)
      yield* says(page.locator("#connections"), /#2/)
      assert.deepStrictEqual(
        (yield* ConnectionPool.connections(pool)).map(({ id }) => id),
        [2]
      )
    })
  )

  withToken("recycles lent connections too, after a question", ({ page, pool }) =>
    Effect.gen(function* () {
      yield* holding(pool, "Jobs.one")
      yield* Effect.promise(() => form(page, "recycle").getByLabel("lent ones now, too").check())
      yield* send(page, "recycle")
      yield* says(page.getByRole("dialog"), /closed under whoever has them/)
      yield* confirm(page)
      yield* answers(page, /lent connections too/i)
      assert.notInclude(
        (yield* ConnectionPool.connections(pool)).map(({ id }) => id),
        1
      )
    })
  )

  withToken("evicts one connection, under its borrower if asked to", ({ page, pool }) =>
    Effect.gen(function* () {
      yield* holding(pool, "Jobs.one")
      yield* says(page.locator("#connections"), /Jobs\.one/)
      yield* Effect.promise(() => page.getByRole("button", { name: "Evict connection 1" }).click())
      yield* Effect.promise(() => page.getByLabel("Close it now, under whoever has it").check())
      yield* confirm(page)
      yield* answers(page, /evict connection 1, lent or not/i)
      yield* says(page.locator("#events"), /evicted/i)
      assert.notInclude(
        (yield* ConnectionPool.connections(pool)).map(({ id }) => id),
        1
      )
    })
  )

  withToken("checks what is idle", ({ page }) =>
    Effect.gen(function* () {
      yield* send(page, "check-idle")
      yield* answers(page, /0 checked, 0 of them failed, 1 skipped/)
    })
  )

  withToken("captures stacks for some minutes, and reads where a lease was borrowed", ({ page, pool }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => form(page, "capture-stacks").getByLabel("Minutes").fill("1"))
      yield* send(page, "capture-stacks")
      yield* answers(page, /capture stacks for 1 minutes/i)
      yield* says(page.locator("#captures"), /Until/)
      yield* holding(pool, "Jobs.one")
      const holder = page.locator("#connections summary", { hasText: "Jobs.one" })
      yield* Effect.promise(() => holder.click())
      yield* says(page.locator("#connections pre"), /borrowed at/)
    })
  )

  withToken("drains only the pool that is named", (view) =>
    Effect.gen(function* () {
      const { page, pool } = view
      yield* Effect.promise(() => form(page, "drain").getByLabel("Pool").fill("another"))
      yield* send(page, "drain")
      yield* answers(page, /expected the name of the pool/)
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "ready")
      yield* everyAction["drain"]!(page)
      yield* answers(page, /drain, borrowers may finish for 30s/)
      yield* says(page, /ended|closed/i)
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "closed")
    })
  )
})
