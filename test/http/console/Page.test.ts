import { assert, describe, it } from "@effect/vitest"
import { Script } from "node:vm"
import { contentSecurityPolicy, page } from "../../../src/http/console/Page.ts"
import { script } from "../../../src/http/console/Script.ts"

const text = page({ nonce: "n0nce" })

describe("the console's page", () => {
  it("is less than 60 kB", () => {
    assert.isBelow(new TextEncoder().encode(text).length, 60 * 1024)
  })

  it("asks nobody else for anything", () => {
    assert.notMatch(text, /https?:\/\/(?!www\.w3\.org)/)
    assert.notMatch(text, /@import|<link[^>]*stylesheet|<script[^>]*src=|<img/)
  })

  it("has a script that can be read, and no way to run text", () => {
    assert.doesNotThrow(() => new Script(script))
    assert.notMatch(script, /\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write/)
  })

  it("allows only what has the nonce of its answer", () => {
    const policy = contentSecurityPolicy("n0nce")
    assert.include(policy, "default-src 'none'")
    assert.include(policy, "script-src 'nonce-n0nce'")
    assert.include(policy, "frame-ancestors 'none'")
    assert.notMatch(policy, /unsafe|\*/)
    assert.notMatch(text, / style=| on\w+=/)
    assert.strictEqual(text.match(/<(script|style)\b/g)?.length, text.match(/nonce="n0nce"/g)?.length)
  })
})
