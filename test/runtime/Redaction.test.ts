import { assert, describe, it } from "@effect/vitest"
import { presentable, redacted } from "../../src/runtime/Redaction.ts"

const secret = "hunter2"

describe("a text that is shown", () => {
  const texts = [
    `connect to postgres://app:${secret}@db:5432/orders failed`,
    `postgres://app:p@${secret}@db/orders`,
    `redis://:${secret}@cache:6379`,
    `postgres://db/orders?user=app&password=${secret}&sslmode=require`,
    `host=db user=app password=${secret} dbname=orders`,
    `{"host":"db","password":"${secret}"}`,
    `{ password: '${secret} with words' }`,
    `PGPASSWORD=${secret}`,
    `api_key: ${secret}`,
    `access-token=${secret}`,
    `Authorization: Bearer ${secret}.abc`,
    `authorization: Basic ${secret}==`
  ]
  for (const text of texts) {
    it(`has no secret in it: ${text.replaceAll(secret, "...")}`, () => {
      assert.notInclude(redacted(text), secret)
      assert.include(redacted(text), "<redacted>")
    })
  }

  it("keeps what says where the trouble is", () => {
    assert.strictEqual(
      redacted(`connect ECONNREFUSED postgres://app:${secret}@10.0.0.1:5432/orders`),
      "connect ECONNREFUSED postgres://<redacted>@10.0.0.1:5432/orders"
    )
    const plain = 'password authentication failed for user "app" at 10.0.0.1:5432'
    assert.strictEqual(redacted(plain), plain)
    assert.strictEqual(redacted("see https://example.com/docs?page=2"), "see https://example.com/docs?page=2")
  })

  it("is one line, and no longer than somebody reads", () => {
    const text = redacted(`first\nsecond\u001b[31m\t${"x".repeat(10_000)}`)
    assert.match(text, /^first second \[31m x+…$/)
    assert.isAtMost(text.length, 500)
  })
})

describe("the error of a driver", () => {
  it("is handed on as it is, where there is no secret in it", () => {
    const error = Object.assign(new Error("connection refused"), { code: "ECONNREFUSED", config: { host: "db" } })
    assert.strictEqual(presentable(error), error)
  })

  const planted: ReadonlyArray<readonly [string, unknown]> = [
    ["in its message", Object.assign(new Error(`postgres://app:${secret}@db`), { code: "E1", _tag: "Refused" })],
    ["in its cause", new Error("failed", { cause: new Error(`password=${secret}`) })],
    ["in a member", Object.assign(new Error("failed"), { url: `postgres://app:${secret}@db` })],
    ["as a text", `password=${secret}`]
  ]
  for (const [where, error] of planted) {
    it(`is replaced by one that says the same, with a secret ${where}`, () => {
      const shown = presentable(error) as Error & { code?: string; _tag?: string }
      assert.notInclude(`${shown.message} ${shown.stack} ${String(shown.cause)} ${JSON.stringify(shown)}`, secret)
      if (where === "in its message") assert.deepStrictEqual([shown.code, shown._tag], ["E1", "Refused"])
    })
  }
})
