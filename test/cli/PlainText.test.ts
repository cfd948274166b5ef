import { assert, describe, it } from "@effect/vitest"
import { bar, sparkline } from "../../src/cli/Chart.ts"
import { draw } from "../../src/cli/Line.ts"
import { cut, fit, fitRight, plain, plainJson, widthOf, wrap } from "../../src/cli/PlainText.ts"

/** Anything that a terminal would obey, or that cannot be seen. */
const obeyed = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

describe("text of others", () => {
  it("comes on one line, and what a terminal would obey is shown instead of done", () => {
    const hostile = "a\r\nb\tc\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp\u2066\u200b\u2028end\x7f"
    const shown = plain(hostile)
    assert.notMatch(shown, obeyed)
    assert.isTrue(shown.startsWith("a b c␛[2J␛]0;title␇"))
    assert.include(shown, "end␡")
  })

  it("is no longer than anybody reads, however long it comes", () => {
    assert.isAtMost(plain("x".repeat(10_000)).length, 2001)
    assert.isTrue(plain("x".repeat(10_000)).endsWith("…"))
  })

  it("does not run into other lines by marks that are heaped upon a letter", () => {
    const shown = plain(`z${"\u0301".repeat(500)}`)
    assert.strictEqual(shown, "z\u0301\u0301")
    assert.strictEqual(widthOf(shown), 1)
  })

  it("is cut to columns, not to characters: wide letters and pictures take two", () => {
    assert.strictEqual(widthOf("注文🚀a"), 7)
    for (let columns = 0; columns < 9; columns++) {
      assert.isAtMost(widthOf(cut("注文🚀abc", columns)), columns)
      assert.strictEqual(widthOf(fit("注文🚀abc", columns)), columns)
      assert.strictEqual(widthOf(fitRight("注文🚀abc", columns)), columns)
    }
    assert.strictEqual(cut("orders", 6), "orders")
    assert.strictEqual(cut("orders", 5), "orde…")
  })

  it("is wrapped between words, and a word that is too long within itself", () => {
    const lines = wrap(`one two ${"x".repeat(25)} three`, 10)
    assert.deepStrictEqual(lines, ["one two", "xxxxxxxxxx", "xxxxxxxxxx", "xxxxx", "three"])
  })

  it("stays the same JSON when it is made harmless", () => {
    const said = { name: "a\x9b31m\u202e\u2028\u{e0041}" }
    const shown = plainJson(JSON.stringify(said))
    assert.notMatch(shown, obeyed)
    assert.deepStrictEqual(JSON.parse(shown), said)
  })

  it("is harmless in a line even if nobody has made it so before", () => {
    const line = draw(["ab\x1b[2Jc\n", ["bad", "d\x1b[0me"]], { columns: 80, hasColor: true })
    assert.strictEqual(line, "ab␛[2Jc␊\x1b[1;31md␛[0me\x1b[0m")
  })
})

describe("a line", () => {
  it("is cut to its columns whatever its pieces are, and colour takes none", () => {
    const line = [["strong", "orders"], " is ", ["bad", "unavailable"]] as const
    for (let columns = 1; columns < 24; columns++) {
      const drawn = draw(line, { columns, hasColor: true })
      // oxlint-disable-next-line no-control-regex -- the colours are what is taken out
      assert.isAtMost(widthOf(drawn.replaceAll(/\x1b\[[\d;]*m/g, "")), columns)
      assert.strictEqual(drawn.includes("…"), columns < "orders is unavailable".length)
    }
  })

  it("has no escape sequence where colour is not wanted", () => {
    assert.notInclude(draw([["bad", "x"]], { columns: 9, hasColor: false }), "\x1b")
  })
})

describe("charts", () => {
  it("give each part of a bar its share, and none that is there nothing", () => {
    const parts = [
      { count: 98, sign: "#" },
      { count: 1, sign: "+" },
      { count: 0, sign: "x" },
      { count: 1, sign: "." }
    ]
    assert.deepStrictEqual(bar(parts, 100, 20), ["#".repeat(18), "+", "", "."])
    assert.deepStrictEqual(bar(parts.slice(1), 4, 8), ["++", "", ".."])
    assert.strictEqual(bar([{ count: 500, sign: "#" }], 10, 20).join("").length, 20)
  })

  it("show a peak even where a column stands for several seconds", () => {
    const seconds = Array.from({ length: 60 }, (_, second) => (second === 31 ? 800 : 100))
    const drawn = Array.from(sparkline(seconds, 20))
    assert.strictEqual(drawn.length, 20)
    assert.strictEqual(drawn.filter((block) => block === "█").length, 1)
    assert.strictEqual(sparkline([], 5), "     ")
    assert.strictEqual(sparkline([0, 8, 1], 4), "  █▂")
  })
})
