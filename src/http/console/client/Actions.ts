/** What an operator may ask, the token it takes, and the diagnostics to copy. */
import type { App } from "./App.ts"

export function installActions(app: App): void {
  const { find, mark, on, set } = app
  const dialog = find("dialog") as HTMLDialogElement
  const choice = find("dialog-choice") as HTMLInputElement
  const area = find("dialog-text") as HTMLTextAreaElement
  const token = find("token") as HTMLInputElement
  const tokenForm = find("token-form")
  const forms = [...document.querySelectorAll<HTMLFormElement>("form[data-action]")]

  const say = (isDone: boolean, words: string): void => {
    app.flag(find("answer"), !isDone)
    set("answer-words", `${app.symbols[isDone ? "pass" : "fail"]} ${words}`)
    find("answer").hidden = false
  }

  const pathOf = (name: string): string => `/${encodeURIComponent(app.key!)}/${name}`

  const ask = async (action: string, body: unknown): Promise<void> => {
    const { status, words } = await app.call(pathOf(action), body)
    say(status === 200, `${app.phrase(action)}: ${words}`)
    if (status === 401) token.focus()
  }

  let whenConfirmed = (): void => undefined

  /** Once, before a connection is taken from anybody. With an `option`, there is a box to tick; with a `text`, only that to copy. */
  const confirm = (words: string, option: string, then: () => void, text = ""): void => {
    choice.checked = false
    choice.parentElement!.hidden = option === ""
    set("dialog-option", option)
    set("dialog-words", words)
    area.hidden = text === ""
    area.value = text
    find("dialog-yes").hidden = text !== ""
    whenConfirmed = then
    dialog.showModal()
    area.select()
  }
  on(document, "click", ({ target: { id } }) => {
    if (id === "dialog-no" || id === "dialog-yes") dialog.close()
    if (id === "dialog-yes") whenConfirmed()
    if (id === "answer-close") find("answer").hidden = true
  })

  app.evict = ({ holders: [first], id: connection }) => {
    const who = first && ` It closes when ${first.path ?? first.holder} returns it.`
    confirm(
      `Evict connection ${connection}?${who ?? ""}`,
      first ? "Close it now, under whoever has it" : "",
      () => void ask("evict", { connection, interrupt: choice.checked })
    )
  }

  type Values = Readonly<Record<string, string>>

  /** What is left empty is not changed. */
  const numbers = (values: Values): object =>
    Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === "" ? [] : [[name, Number(value)]])))

  const bodies: Readonly<Record<string, (values: Values) => object>> = {
    resize: numbers,
    recycle: ({ interrupt }) => ({ interrupt: interrupt === "on" }),
    "capture-stacks": numbers,
    drain: ({ confirm: name, seconds }) => ({ confirm: name, deadlineMillis: Number(seconds) * 1000 })
  }

  const warnings: Readonly<Record<string, (values: Values) => string | undefined>> = {
    pause: ({ acquires }) => `Pause the pool? Until it is resumed, every acquire ${acquires}s.`,
    recycle: ({ interrupt }) => interrupt && "Recycle the pool? Connections are closed under whoever has them."
  }

  for (const form of forms)
    on(form, "submit", (event) => {
      event.preventDefault()
      const action = form.dataset["action"]!
      const values = Object.fromEntries(new FormData(form)) as Values
      const send = (): void => void ask(action, bodies[action]?.(values) ?? values)
      const warning = warnings[action]?.(values)
      if (warning) confirm(warning, "", send)
      else send()
    })

  app.needToken = (isReading) => {
    const home = find(isReading ? "locked" : "token-home")
    if (tokenForm.parentElement !== home) home.append(tokenForm)
    find("locked").hidden = !isReading
    if (isReading) app.tell("denied", app.token === "" ? "Reading needs a token" : "This token is not accepted")
  }

  on(tokenForm, "submit", (event) => {
    event.preventDefault()
    app.token = token.value.trim()
    set("token-state", app.token === "" ? "None in use" : "In use, and kept in this page only")
    if (app.link === "denied") app.retry()
    app.start()
  })

  const copy = async (): Promise<void> => {
    const { body, status, words } = await app.call(pathOf("diagnostics"))
    if (status !== 200) return say(false, `Diagnostics: ${words}`)
    const text = JSON.stringify(body, null, 2)
    try {
      await navigator.clipboard.writeText(text)
      say(true, "Diagnostics copied")
    } catch {
      confirm("There is no clipboard here. Copy this:", "", () => undefined, text)
    }
  }
  on(find("copy"), "click", () => void copy())

  app.onRender.push(({ capturesStacksUntil: until, maxConnections, minConnections }) => {
    const { isEnabled, names, reason } = app.actions
    for (const form of forms)
      form.querySelector("fieldset")!.disabled = !isEnabled || !names.includes(form.dataset["action"]!)
    set("actions-reason", !isEnabled && `Switched off: ${reason}`)
    find("token-home").hidden = !isEnabled
    set("drain-name", app.key)
    set("captures", until && `Until ${app.time(until)}.`)
    mark(find("min"), "placeholder", `${minConnections}`)
    mark(find("max"), "placeholder", `${maxConnections}`)
  })
}
