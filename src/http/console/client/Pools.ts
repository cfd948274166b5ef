/** The pools of the process as tabs, and which of them is looked at. */
import type { PoolList } from "./Api.ts"
import type { App } from "./App.ts"

export function installPools(app: App): void {
  const { find, mark, on, write } = app
  const everyMillis = 5000
  let pools: PoolList["pools"] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  app.actions = { isEnabled: false, names: [], reason: null }

  const select = (key: string): void => {
    history.replaceState(null, "", `?pool=${encodeURIComponent(key)}`)
    app.watch(key)
    draw()
    find("tab").scrollIntoView({ block: "nearest" })
    app.render()
  }

  const draw = (): void => {
    const reachable = pools.find(({ key }) => key === app.key) ?? pools[0]
    app.list("tabs", "button i b small", pools, (pool, tab, symbol, name, words) => {
      const { diagnosis, health, key, state } = pool
      const isSelected = key === app.key
      tab.id = isSelected ? "tab" : ""
      tab.tabIndex = pool === reachable ? 0 : -1
      tab.title = `${key}: ${diagnosis.summary}`
      mark(tab, "role", "tab")
      mark(tab, "aria-controls", "panel")
      mark(tab, "aria-selected", `${isSelected}`)
      mark(tab, "data-key", key)
      mark(tab, "data-health", health)
      write(symbol!, app.symbols[health])
      write(name!, key)
      write(words!, diagnosis.kind === state ? state : `${state}, ${app.phrase(diagnosis.kind)}`)
    })
  }

  /** At first the one that is asked for, or the one that is worst off. */
  const choose = (): void => {
    const asked = new URLSearchParams(location.search).get("pool")
    const worst = ["fail", "warn", "pass"].flatMap((status) => pools.filter(({ health }) => health === status))
    const chosen = pools.find(({ key }) => key === asked) ?? worst[0]
    if (chosen) select(chosen.key)
  }

  const refresh = async (): Promise<void> => {
    clearTimeout(timer)
    timer = setTimeout(refresh, everyMillis)
    if (document.hidden) return
    const { body, status, words } = await app.call("")
    if (status === 401) return app.needToken(true)
    if (status !== 200) {
      if (!app.key) app.tell("lost", `Asking again in ${everyMillis / 1000} s: ${words}`)
      return
    }
    ;({ actions: app.actions, pools } = body as PoolList)
    find("none").hidden = pools.length > 0
    app.needToken(false)
    draw()
    if (!app.key) choose()
    // A pool of the same name has been made.
    else if (app.link === "ended" && pools.some(({ key }) => key === app.key)) app.retry()
  }

  const tabs = find("tabs")
  on(tabs, "click", ({ target }) => {
    const key = target.closest("button")?.dataset["key"]
    if (key) select(key)
  })
  on(tabs, "keydown", (event) => {
    const index = pools.findIndex(({ key }) => key === app.key)
    const place = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: -1 }[event.key]
    if (place === undefined) return
    event.preventDefault()
    select(pools.at(place % pools.length)!.key)
    find("tab").focus()
  })

  app.start = () => void refresh()
  on(document, "visibilitychange", app.start)
}
