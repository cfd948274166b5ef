/** How the page is built and changed: elements and texts only, never markup, so that no name can do harm. */
import type { App, TableColumn } from "./App.ts"

export function installElements(app: App): void {
  const colors = new Map<string, string>()
  app.onRender.push(() => colors.clear())

  const find = (app.find = (id) => document.getElementById(id)!)

  const el = (app.el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag)
    for (const name in attributes) node.setAttribute(name, attributes[name]!)
    node.append(...children)
    return node
  })

  const on = (app.on = (target, types, listener) => {
    for (const type of types.split(" ")) target.addEventListener(type, listener as never)
  })

  const write = (app.write = (node, text) => {
    if (node.textContent !== text) node.textContent = text
  })

  const mark = (app.mark = (node, name, value) => {
    if (typeof value !== "string") node.removeAttribute(name)
    else if (node.getAttribute(name) !== value) node.setAttribute(name, value)
  })

  app.flag = (node, isBad) => mark(node, "data-level", isBad ? "bad" : undefined)

  app.tip = (node, text) => {
    write(node, text)
    mark(node, "title", text)
  }

  app.set = (id, text) => write(find(id), text || "")

  const list = (app.list = (id, shape, items, update) => {
    const parent = find(id)
    const [tag, ...tags] = shape.split(" ") as [keyof HTMLElementTagNameMap]
    while (parent.children.length > items.length) parent.lastChild!.remove()
    for (const [index, item] of items.entries()) {
      const node = parent.children[index] ?? parent.appendChild(el(tag, {}, ...tags.map((part) => el(part))))
      update(item, node as HTMLElement, ...([...node.children] as Array<HTMLElement>))
    }
  })

  app.lines = (id, texts) => list(id, "li", texts, (text, node) => app.tip(node, text))

  app.pairs = (id, pairs) =>
    list(
      id,
      "div dt dd",
      pairs.filter(([, text]) => text),
      ([term, text], _, name, words) => {
        write(name!, term)
        write(words!, text as string)
      }
    )

  app.fill = ({ style }, share, color) => {
    style.background = `linear-gradient(90deg, ${color} ${share * 100}%, var(--soft) 0)`
  }

  app.color = (name) => {
    if (!colors.has(name)) colors.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`))
    return colors.get(name)!
  }

  app.surface = (canvas) => {
    const { clientHeight: height, clientWidth: width } = canvas
    const pen = canvas.getContext("2d")!
    canvas.width = width * devicePixelRatio
    canvas.height = height * devicePixelRatio
    pen.scale(devicePixelRatio, devicePixelRatio)
    pen.font = "11px system-ui, sans-serif"
    pen.textBaseline = "middle"
    return { pen, width, height }
  }

  /** One that can be sorted by its headings. While somebody points at a row or is in one, the rows stay where they are. */
  app.table = <A>(
    id: string,
    first: number,
    empty: string,
    keyOf: (item: A) => number | string,
    ...columns: ReadonlyArray<TableColumn<A>>
  ) => {
    const rows = new Map<number | string, HTMLTableRowElement>()
    const body = el("tbody")
    const none = el("p", {}, empty)
    const held = matchMedia("(hover: hover)").matches ? ":hover, :focus-within" : ":focus-within"
    let sorted = first
    let sign = -1
    let shown: ReadonlyArray<A> = []
    let order: ReadonlyArray<number | string> = []

    const show = (items: ReadonlyArray<A>, isHeld: boolean): void => {
      shown = items
      const rank = (item: A): number | string => columns[sorted]?.[1]?.(item) ?? -1
      const compare = (one: A, other: A): number =>
        rank(one) === rank(other) ? 0 : rank(one) < rank(other) ? -sign : sign
      const byKey = new Map([...items].sort(compare).map((item) => [keyOf(item), item]))
      order = [...new Set([...order.filter((key) => isHeld && byKey.has(key)), ...byKey.keys()])]
      for (const [key, row] of rows) {
        if (byKey.has(key)) continue
        row.remove()
        rows.delete(key)
      }
      for (const [index, key] of order.entries()) {
        const row = rows.get(key) ?? el("tr", {}, ...columns.map((column) => cellOf("td", column)))
        rows.set(key, row)
        if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null)
        const item = byKey.get(key)!
        for (const [index, [, of, as, cell]] of columns.entries()) {
          const value = of?.(item)
          const node = row.cells[index]!
          if (cell) cell(item, node)
          else write(node, as === undefined ? `${value}` : value === undefined ? "–" : as(value as number))
        }
      }
      none.hidden = items.length > 0
      for (const [index, head] of heads.entries())
        mark(head, "aria-sort", index === sorted ? (sign > 0 ? "ascending" : "descending") : "none")
    }

    const cellOf = (tag: "td" | "th", [, , as]: TableColumn<A>): HTMLElement => el(tag, as && { class: "number" })

    const heads = columns.map((column, index) => {
      const [name, of] = column
      const head = cellOf("th", column)
      const button = el("button", {}, name)
      head.append(of ? button : name)
      on(button, "click", () => {
        sign = index === sorted ? -sign : -1
        sorted = index
        show(shown, false)
      })
      return head
    })
    const shownTable = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body)
    const region = { class: "scroll", role: "region", tabindex: "0", "aria-label": id }
    find(id).append(el("div", region, shownTable, none))
    return (items: ReadonlyArray<A>) => show(items, body.matches(held))
  }
}
