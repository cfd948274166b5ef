import { assert, describe, it } from "@effect/vitest"
import { runInNewContext } from "node:vm"
import type * as Client from "../../../src/http/console/client/Api.ts"
import type { App } from "../../../src/http/console/client/App.ts"
import { installWords } from "../../../src/http/console/client/Words.ts"
import { page } from "../../../src/http/console/Page.ts"
import { installers, script } from "../../../src/http/console/Script.ts"
import type * as ConsoleFeed from "../../../src/http/ConsoleFeed.ts"
import { actionNames, type Done, type PoolList } from "../../../src/http/PoolApi.ts"

type Read<Client, Sent extends Client> = Sent

/** Compiles only if what is sent is what the page reads, and every second is described by what the page knows. */
export type Contract = [
  Read<Client.History, typeof ConsoleFeed.History.Encoded>,
  Read<Client.Frame, typeof ConsoleFeed.Frame.Encoded>,
  Read<Client.PoolList, typeof PoolList.Encoded>,
  Read<{ readonly done: string }, typeof Done.Encoded>,
  Read<Client.Column, ConsoleFeed.Column>,
  Read<ConsoleFeed.Column, Client.Column>
]

describe("what may be asked", () => {
  it("is all on the page", () => {
    const forms = page({ nonce: "n0nce" }).matchAll(/<form data-action=([\w-]+)/g)
    const asked = new Set([...Array.from(forms, ([, name]) => name), "evict"])
    assert.deepStrictEqual(asked, new Set<string | undefined>(actionNames))
    assert.include(script, `"evict"`)
  })
})

describe("the functions that are sent as text", () => {
  it("are found in the page, each once and in order", () => {
    // The first line makes `app`; each of the others is a call.
    const calls = script.split(";\n").slice(1)
    assert.strictEqual(calls.length, installers.length)
    for (const call of calls) assert.match(call, /^\((?:app|\(app\))=>\{[^]*\}\)\(app\)$/)
  })

  it("refer to nothing but the browser and `app`", () => {
    for (const install of installers) assert.notMatch(install.toString(), /__vi_import|\brequire\(|\bimport\(/)
  })

  it("say the same when they have been shortened", () => {
    const at = Date.UTC(2026, 10, 23, 12)
    const closed = { _tag: "ConnectionClosed", at, connection: 1, reason: "maxLifetime", duration: 3.2 }
    const now = (): number => at + 86_400_000
    const said = (app: App): ReadonlyArray<string> => [
      ...[0.42, 41, 999, 1234, 61_000, 3_700_000, 90_000_000, 1e9].map(app.millis),
      ...[0, 1234.5, 0.25].map(app.number),
      app.percent(0.625),
      app.many(1, "lease"),
      app.many(1200, "lease"),
      app.time(at),
      app.time(now()),
      app.phrase("held-too-long"),
      app.phrase("maxLifetime"),
      app.factWords(closed),
      app.factWords({ _tag: "ConnectionChecked", at, connection: 1, isAlive: false })
    ]
    const plain = { now } as App
    installWords(plain)
    const shortened = { now } as App
    const words = script.split(";\n").find((call) => call.includes("app.phrase="))
    runInNewContext(words!, { app: shortened })
    assert.deepStrictEqual(said(shortened), said(plain))
    assert.include(said(plain), "11 days")
    assert.include(said(plain), "connection 1 · reason max lifetime · took 3.2 ms")
    assert.include(said(plain), "connection 1 · not alive")
    assert.match(said(plain).join("\n"), /^2026-11-23 \d\d:\d\d:\d\d$/m)
  })
})
