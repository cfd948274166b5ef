/** How the page looks. Few colours: red only for trouble, and never without a symbol or words beside it. */

const light = `
color-scheme: light;
--ground: #f6f6f4; --paper: #fff; --edge: #dfdfda; --ink: #1b1d21; --dim: #5c616b; --grid: #e9e9e5; --soft: #efefeb;
--accent: #2f5fc4; --warn: #8a4e00; --bad: #bb2419; --good: #1c7040; --warns: #fdf3e1; --bads: #fdecea;
--inUse: #5e88dc; --idle: #d3dceb; --connecting: #0f766e; --preparing: #7c4dbd; --closing: #7b818a;
--waiting: #e08a24; --heat: #3f6fd1; --hold: #6a45b0; --lane: #b4b9c1; --on-op: #fff; --unnamed: #5f6975;
--op0: #2f62c0; --op1: #0c7468; --op2: #7748bb; --op3: #a34e0a; --op4: #b02d78; --op5: #437a1d; --op6: #49647f; --op7: #08708a; --op8: #746500; --op9: #8a4a58`

const dark = `
color-scheme: dark;
--ground: #0f1114; --paper: #17191d; --edge: #2c2f36; --ink: #e8e9eb; --dim: #9ea4ae; --grid: #24272c; --soft: #212429;
--accent: #8fb0f5; --warn: #edb458; --bad: #ff8b80; --good: #6ecb93; --warns: #2b2317; --bads: #321c1b;
--inUse: #4f78cc; --idle: #323c4d; --connecting: #45c0b0; --preparing: #b394f0; --closing: #868d98;
--waiting: #d98d33; --heat: #7aa2f7; --hold: #b79df2; --lane: #4b515b; --on-op: #101216; --unnamed: #98a2ae;
--op0: #7fa6f4; --op1: #4dbfae; --op2: #b597f2; --op3: #e89a57; --op4: #e98bc1; --op5: #93c671; --op6: #9fb5cc; --op7: #57bdd6; --op8: #cbb84f; --op9: #d89aa6`

const base = `
* { box-sizing: border-box; margin: 0; padding: 0; min-width: 0 }
html { scroll-padding-top: 5rem }
body { background: var(--ground); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
ol, ul { list-style: none }
i { font-style: normal }
fieldset { border: 0 }
h1, h3, legend { font-size: 14px }
h2 { font-size: 16px }
h1, h2, h3, legend, b { font-weight: 620 }
[hidden] { display: none !important }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
a { position: absolute; left: -99rem; &:focus { left: 1rem; background: var(--paper); z-index: 9 } }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; border-radius: 4px }
small, .note, figcaption, #link, th, #lanes-legend, .scroll p, .badges { font-size: 12.5px; color: var(--dim) }
button, input, select, textarea { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--closing); border-radius: 6px; padding: .2rem .6rem }
[type=checkbox], [type=radio] { margin-right: .3rem; vertical-align: -2px; accent-color: var(--accent) }
[type=number] { width: 6rem }
button { cursor: pointer; background: var(--soft) }
button:hover:enabled { border-color: var(--ink) }
button:disabled { cursor: default; color: var(--dim); border-style: dashed; background: none }
header button, td button, #retry { padding: 0 .5rem; font-size: 12.5px }
header, nav, .inputs, .badges, figcaption, #lanes-legend, #lanes-legend li, .title, #range, #tabs, .axis, #answer { display: flex }
.title, .axis, #answer { justify-content: space-between }
header, nav, .inputs, .badges, figcaption, #lanes-legend { flex-wrap: wrap; gap: .2rem .9rem; align-items: center }
main, nav, header { padding: 0 max(1.25rem, 50vw - 680px) }
main, header { padding-top: .6rem }
h1 { flex: 1 }
h1, time, figcaption b, .badges b { color: var(--ink) }
#link { &::before { content: "◌ "; color: var(--warn) } &:not([data-link=live]) { color: var(--ink); font-weight: 620 } }
#link[data-link=live]::before { content: "● "; color: var(--good) }
#link:is([data-link=denied], [data-link=ended])::before { content: "✕ "; color: var(--bad) }
nav { position: sticky; top: 0; z-index: 3; background: var(--ground); border-bottom: 1px solid var(--edge) }
#tabs { flex: 1 1 18rem; overflow-x: auto; padding: 2px }
#tabs button { flex: none; max-width: 22rem; display: grid; grid: auto / auto 1fr; gap: 0 .4rem; text-align: left; background: none; border: 0; border-bottom: 2px solid #0000; border-radius: 0; &[aria-selected=true] { border-color: var(--accent) } }
#tabs small { grid-column: 2 }
[data-health] > i, #health { color: var(--good) }
[data-health=warn] :is(i, #health), [data-state=paused], [data-state=draining], #reasons, #events-frozen { color: var(--warn) }
[data-health=fail] :is(i, #health), [data-state=unavailable], [data-level=bad] > :is(i, small), td[data-level=bad], #failures { color: var(--bad) }
small, td, summary, #tabs b, #held b, #lanes-legend span, #events span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
#panel:focus { outline: 0 }
#loaded, section { display: grid; grid: auto / minmax(0, 1fr); gap: .5rem }
#loaded { gap: 1.25rem; padding-bottom: 5rem }
[data-stale] :is(#verdict, #tiles) { opacity: .75 }
.card, #tiles li, #verdict, form fieldset, #answer, dialog { background: var(--paper); color: inherit; border: 1px solid var(--edge); border-radius: 10px; padding: .75rem 1rem }
.grid, .actions { display: grid; gap: 1rem; grid: auto / repeat(auto-fit, minmax(min(100%, 27rem), 1fr)) }
.grid > section { grid-template-rows: auto 1fr }
`

const parts = `
#range label { position: relative }
#range input { position: absolute; inset: 0; opacity: 0 }
#range span { display: block; padding: .1rem .65rem; border-radius: 6px }
#range :checked + span, #dialog-yes { background: var(--ink); color: var(--paper) }
#range :focus-visible + span { outline: 2px solid var(--accent) }
#verdict { grid: auto / 3fr 2fr; gap: 1rem 2rem; }
#verdict, #answer { border-left: 5px solid var(--good); &[data-health=warn] { border-left-color: var(--warn) } &:is([data-health=fail], [data-level=bad]) { border-left-color: var(--bad) } }
#answer, dialog { box-shadow: 0 8px 40px #0005 }
.badges b { font-size: 14px }
#state, #health { border: 1px solid; border-radius: 99px; padding: 0 .6rem; font-weight: 620 }
#kind { font-size: 26px; line-height: 1.2; margin: .5rem 0 .2rem }
#kind, #events b, .lines li, #lanes small { &::first-letter { text-transform: uppercase } }
#summary { font-size: 16px }
#summary, #advice { max-height: 14rem; overflow: hidden }
#advice { padding-left: 1.4rem; list-style: decimal }
#advice li { margin-top: .4rem }
#reasons li::before { content: "▲ " }
#held li { display: grid; grid: auto / 1fr auto; gap: .1rem .75rem; margin: .5rem 0 }
#held :is(i, small) { grid-column: 1 / 3 }
#held i, td i { height: 6px; border-radius: 3px }
#tiles { display: grid; gap: .6rem; grid: auto / repeat(auto-fill, minmax(max(8.3rem, 18%), 1fr)) }
#tiles li { padding: .5rem .75rem .35rem; display: grid; &[data-level=warn] { background: var(--warns); border-color: var(--warn) } &[data-level=bad] { background: var(--bads); border-color: var(--bad) } }
#tiles b { font-size: 22px; line-height: 1.3; white-space: nowrap }
[data-level=warn] > :is(small, b) { color: var(--warn) }
#tiles [data-level=bad] b { color: var(--bad) }
#tiles [data-level] small::before { content: "▲ " }
#tiles [data-level=bad] small::before { content: "✕ " }
canvas { width: 100% }
#tiles canvas { height: 26px }
figure canvas { display: block; height: 200px; touch-action: pan-y }
figcaption { margin: .35rem 0 }
figcaption b { display: inline-block; min-width: 1.5em }
figcaption i { display: inline-block; width: 16px; margin-right: .35rem; vertical-align: middle; border-top: 2px solid }
figcaption :is(.area, .hatch) { height: 10px; border: 1px solid; background: currentColor; border-radius: 2px }
figcaption .hatch { background: repeating-linear-gradient(135deg, currentColor 0 1.5px, #0000 1.5px 4px) }
.dashed { border-top-style: dashed !important }
.dotted { border-top-style: dotted !important }
figcaption .cross { border: 0; width: auto; &::before { content: "✕" } }
#lanes-legend { margin-bottom: .4rem }
#lanes-legend li { gap: .4rem; align-items: center; max-width: 24rem }
#lanes-legend :is(i, b) { flex: none }
#lanes-legend i { width: 12px; height: 12px; border-radius: 3px }
#lanes, #lanes li { display: grid; grid: auto / 3.4rem minmax(0, 1fr) 8.5rem }
#lanes { max-height: 30rem; overflow: hidden auto }
#lanes canvas { grid-area: 1 / 2; position: sticky; top: 0 }
#lanes-list { grid-area: 1 / 1 / 2 / 4 }
#lanes li { position: relative; height: 22px; line-height: 22px; &:is(:hover, :focus) { background: color-mix(in srgb, var(--accent) 12%, #0000) } &:focus-visible { outline-offset: -2px } }
#lanes small { grid-column: 3; padding-left: .6rem }
.axis { margin: 0 8.5rem 0 3.4rem }
#lanes-words { margin: .4rem 0; padding: .3rem .6rem; background: var(--soft); border-radius: 6px; min-height: 2.1rem }
.scroll { overflow: auto; max-height: 28rem }
table { border-collapse: collapse; width: 100%; font-size: 13px }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top; border-bottom: 1px solid var(--grid); max-width: 24rem }
th { position: sticky; top: 0; background: var(--paper); white-space: nowrap }
.number { text-align: right }
th button { border: 0; background: none; padding: 0; font-weight: 620; font-size: inherit; &::after { content: " ↕" } }
[aria-sort=ascending] button::after { content: " ↑" }
[aria-sort=descending] button::after { content: " ↓" }
[aria-sort$=ending] button { color: var(--ink) }
tr:hover, [data-frozen] { background: var(--soft) }
td i { display: inline-block; width: 6rem; margin-right: .5rem; vertical-align: middle }
summary { cursor: pointer }
pre { font: 12px/1.5 ui-monospace, monospace; padding-left: 1rem; white-space: pre-wrap }
#config td:nth-child(2) { white-space: normal }
#events { max-height: 20rem; overflow: auto; margin: .5rem 0; border-top: 1px solid var(--edge); font-size: 13px }
#events li { display: grid; grid: auto / auto 1rem 11rem 1fr; gap: .6rem; padding: .1rem; border-bottom: 1px solid var(--grid); &:hover span { white-space: normal } }
#events time, dt, label, pre { color: var(--dim) }
dl div { display: grid; grid: auto / 11rem 1fr; gap: .75rem; padding: .1rem 0 }
.lines li { margin-top: .3rem; font-size: 13px }
dl + h3 { margin-top: .75rem }
.actions { grid: auto / repeat(auto-fill, minmax(min(100%, 21rem), 1fr)) }
.actions fieldset { height: 100% }
legend { float: left }
fieldset .note { clear: both; margin-bottom: .5rem }
[data-action=drain] fieldset:enabled { border-color: var(--bad) }
#answer { position: fixed; right: 1rem; bottom: 1rem; left: 1rem; margin-left: auto; max-width: 34rem; gap: 1rem }
dialog { margin: auto; max-width: min(36rem, 92vw) }
dialog::backdrop { background: #0007 }
dialog > * { display: block; margin: .5rem 0; width: 100% }
dialog .inputs { justify-content: end }
@media (max-width: 900px) {
#verdict { grid: auto / 1fr }
}
@media (max-width: 600px) {
header, nav, main { padding-inline: .75rem }
input, select, textarea { font-size: 16px }
.card, #verdict { padding: .75rem }
#lanes, #lanes li { grid: auto / 2.6rem minmax(0, 1fr) 0 }
.axis { margin: 0 0 0 2.6rem }
#lanes small { display: none }
dl div { grid: auto / 1fr; gap: 0 }
#events li { grid: auto / auto 1rem 1fr; gap: 0 .4rem }
#events span { grid-column: 1 / 4; white-space: normal }
}
@media (forced-colors: active) { i, canvas { forced-color-adjust: none } }
`

/** White space is a tenth of the text. */
export const style: string = `:root { ${light} } :root[data-theme=dark] { ${dark} } ${base} ${parts}`
  .replaceAll(/\s*([{};,>+/!]|:(?= ))\s*/g, "$1")
  .replaceAll(/;?}/g, "}")
