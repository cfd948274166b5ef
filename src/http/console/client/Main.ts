/** Draws what has changed, while somebody looks, and starts the page. */
import type { App } from "./App.ts"

export function installMain(app: App): void {
  const darkness = matchMedia("(prefers-color-scheme: dark)")
  const themes = ["auto", "light", "dark"]
  let theme = 0

  const paint = (): void => {
    const isDark = theme === 0 ? darkness.matches : theme === 2
    document.documentElement.dataset["theme"] = isDark ? "dark" : "light"
    app.set("theme", `Theme: ${themes[theme]}`)
    app.render()
  }

  app.render = () => {
    const { report } = app.view
    app.find("loaded").hidden = !report
    if (!report) return
    document.title = `${app.symbols[report.health.status]} ${report.key}: ${app.phrase(report.diagnosis.kind)}`
    if (document.hidden) return
    for (const draw of app.onRender)
      try {
        draw(report)
      } catch (error) {
        // One part that cannot be drawn must not take the others with it.
        console.error(error)
      }
  }

  app.on(app.find("theme"), "click", () => {
    theme = (theme + 1) % 3
    paint()
  })
  app.on(darkness, "change", paint)
  app.on(document, "visibilitychange", app.render)
  app.on(window, "resize", app.render)
  paint()
  app.start()
}
