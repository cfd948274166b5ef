/** The live console: one page that asks nobody but the server it comes from. */
import { script } from "./Script.ts"
import { style } from "./Style.ts"

/** Nothing but what is in the page itself, and its own server's API. */
export const contentSecurityPolicy = (nonce: string): string =>
  [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")

const chart = (letter: string, name: string, note: string): string =>
  `<div class="card"><h3>${name}</h3><p class="note">${note}</p><figure id="chart-${letter}"></figure></div>`

const section = (title: string, content: string): string => `
<section><h2>${title}</h2>${content}</section>`

const card = (title: string, content: string): string => section(title, `<div class="card">${content}</div>`)

const table = (id: string, title: string): string =>
  card(title, `<div id="${id}"></div><p class="note" id="${id}-more"></p>`)

const grid = (...contents: ReadonlyArray<string>): string => `<div class="grid">${contents.join("")}</div>`

const header = `
<a href="#panel">Skip to the pool</a>
<header><h1>Pools</h1><button id="copy">Copy diagnostics</button><button id="theme"></button></header>
<nav><div id="tabs" role="tablist" aria-label="Pools"></div>
<p id="link"><span role="status" id="link-words">Connecting…</span> <span id="link-at"></span> <button id="retry" hidden>Retry now</button></p></nav>`

const verdict = `
<section id="verdict"><div>
<p class="badges"><b id="name"></b><span id="state"></span><span id="health"></span><span id="age"></span></p>
<h2 id="kind"></h2><p id="summary"></p><ol id="advice"></ol><ul id="reasons"></ul>
</div><div><h3>Who holds connections</h3><ol id="held"></ol><p class="note" id="held-rest"></p></div></section>
<ul id="tiles"></ul>`

const range = (seconds: number, rest = ""): string =>
  `<label><input type="radio" name="range" value="${seconds}"${rest}><span>${seconds / 60} min</span></label>`

const charts = `
<section><div class="title"><h2>Over time</h2>
<fieldset id="range"><legend class="hidden">Range</legend>${range(60)}${range(300, " checked")}${range(900)}</fieldset></div>${grid(
  chart("a", "Connections", "By state. Below zero: who waits, on a scale of its own."),
  chart("b", "Wait for a connection", "Darker: more acquires waited that long."),
  chart("c", "Hold time", "How long the leases lasted that ended."),
  chart("d", "Connect time", "✕: connects that failed, and how many.")
)}</section>`

const lanes = card(
  "What each connection does",
  `<p class="note" id="lanes-note"></p><ul id="lanes-legend" aria-label="Operations, by their share of the last minute"></ul>
<div id="lanes"><canvas id="lanes-canvas" aria-hidden="true"></canvas><ul id="lanes-list" role="listbox" aria-label="Connections; arrow keys move among them and their leases"></ul></div>
<div class="axis note" aria-hidden="true"><span>−60 s</span><span>−45 s</span><span>−30 s</span><span>−15 s</span><span>now</span></div>
<p id="lanes-words" aria-live="polite">Point at a bar, or use the arrow keys, to see whose it is.</p>
<p class="note">▨ connecting, checking, resetting · ✕ closed · ⚑ leak suspected · low bar: many short leases, as high as their share · line: idle</p>`
)

const options = ["all", "trouble", "pool", "connections", "leases", "sizing", "operators"]

const log = card(
  "Events",
  `<div class="inputs"><label>Find <input type="search" id="events-text"></label>
<label>Kind <select id="events-kind">${options.map((name) => `<option>${name}`).join("")}</select></label>
<label><input type="checkbox" id="events-freeze">Freeze</label><b id="events-frozen"></b></div>
<ol id="events" tabindex="0" aria-label="Events, the newest first"></ol><p class="note" id="events-note"></p>`
)

const facts = grid(
  card("Sizing", `<dl id="sizing"></dl><ul class="lines" id="decisions"></ul>`),
  card("Advisor", `<dl id="advisor"></dl><ul class="lines" id="advisor-notes"></ul>`),
  card("Configuration", `<div id="config"></div>`),
  card(
    "Since it was made",
    `<dl id="counters"></dl><h3>Failures to connect now</h3><p class="note" id="failures-none"></p><ul class="lines" id="failures"></ul>`
  )
)

const action = (name: string, title: string, note: string, inputs = ""): string => `
<form data-action="${name}"><fieldset><legend>${title}</legend><p class="note">${note}</p><div class="inputs">${inputs}<button>${title}</button></div></fieldset></form>`

const number = (label: string, name: string, attributes: string): string =>
  `<label>${label} <input type="number" name="${name}" ${attributes}></label>`

const actions = section(
  "Actions",
  `<p><b id="actions-reason"></b></p>
<div id="token-home"><form id="token-form" class="inputs"><label>Token <input type="password" id="token" autocomplete="off"></label><button>Use</button><span class="note" id="token-state">Kept in this page only</span></form></div>
<div class="actions">${[
    action(
      "resize",
      "Resize",
      "Closes idle ones first; takes none from a borrower.",
      number("Minimum", "minConnections", `id="min" min="0"`) + number("Maximum", "maxConnections", `id="max" min="1"`)
    ),
    action(
      "pause",
      "Pause",
      "Lends nothing until it is resumed.",
      `<label><input type="radio" name="acquires" value="wait" checked>acquires wait</label><label><input type="radio" name="acquires" value="fail">acquires fail</label>`
    ),
    action("resume", "Resume", "Lends again after a pause."),
    action(
      "recycle",
      "Recycle",
      "Replaces every connection: idle ones now, lent ones when they are returned.",
      `<label><input type="checkbox" name="interrupt">lent ones now, too</label>`
    ),
    action("check-idle", "Check idle", "Checks every idle connection now."),
    action(
      "capture-stacks",
      "Capture stacks",
      `Notes where each lease is borrowed. <span id="captures"></span>`,
      number("Minutes", "minutes", `min="0" max="60" value="5" required`)
    ),
    action(
      "drain",
      "Drain",
      `Closes the pool for good. Type <b id="drain-name"></b> to confirm.`,
      `<label>Pool <input name="confirm" autocomplete="off" required></label>` +
        number("Seconds to finish", "seconds", `min="0" max="86400" value="30" required`)
    )
  ].join("")}</div>`
)

const overlays = `
<div id="answer" role="status" hidden><span id="answer-words"></span><button id="answer-close">Close</button></div>
<dialog id="dialog" aria-labelledby="dialog-words"><p id="dialog-words"></p>
<textarea id="dialog-text" rows="12" readonly aria-label="Diagnostics"></textarea>
<label><input type="checkbox" id="dialog-choice"><span id="dialog-option"></span></label>
<div class="inputs"><button id="dialog-no">Cancel</button><button id="dialog-yes">Do it</button></div></dialog>
<p class="hidden" id="news" aria-live="polite"></p>`

const body = `${header}
<main><noscript>This page needs JavaScript.</noscript>
<div id="locked" class="card" hidden><p>Reading needs a token here.</p></div>
<p id="none" class="card" hidden>This process has no pool yet. One that is made appears here by itself.</p>
<div id="panel" role="tabpanel" aria-labelledby="tab" tabindex="-1"><div id="loaded" hidden>${verdict}${charts}${lanes}
${table("connections", "Connections")}${grid(table("waiters", "Waiting"), table("operations", "Holders by operation"))}
${log}${facts}${actions}</div></div></main>${overlays}`
  // A value of one word needs no quotes.
  .replaceAll(/="([\w-]+)"/g, "=$1")

/** `nonce` is a new one for each answer, and the same as in the policy it is sent with. */
export const page = ({ nonce }: { readonly nonce: string }): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Connection pools</title>
<link rel="icon" href="data:,"><style nonce="${nonce}">${style}</style></head><body>${body}
<script nonce="${nonce}">${script}</script></body></html>
`
