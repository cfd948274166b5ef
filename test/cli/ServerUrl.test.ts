import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Option, Redacted } from "effect"
import { read } from "../../src/cli/ServerUrl.ts"

const reading = (url: string, env: Readonly<Record<string, string>> = {}, isInsecure = false) =>
  read(url, isInsecure).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))

const withToken = { EFFECT_POOL_TOKEN: "tok" }

describe("the address of a server", () => {
  it.effect("is where the routes are mounted, however it is pasted", () =>
    Effect.gen(function* () {
      const same: ReadonlyArray<readonly [string, string]> = [
        ["http://127.0.0.1:9464", "http://127.0.0.1:9464"],
        ["http://127.0.0.1:9464/", "http://127.0.0.1:9464"],
        ["localhost:9464", "http://localhost:9464"],
        ["https://host/ops/console", "https://host/ops"],
        ["https://host/ops/pools/?q=1#x", "https://host/ops"],
        ["HTTPS://Host/ops//", "https://host/ops"]
      ]
      for (const [written, base] of same) assert.strictEqual((yield* reading(written)).base, base)
    })
  )

  it.effect("that is none is refused without the password that it may hold", () =>
    Effect.gen(function* () {
      for (const written of [
        "",
        "http://",
        "ftp://ada:secret@host",
        "postgres://ada:secret@host/x",
        "http://a b:secret@c d"
      ]) {
        const error = yield* Effect.flip(reading(written))
        assert.strictEqual(error.exitCode, 1)
        assert.include(error.message, "expected where the routes are mounted")
        assert.notInclude(error.message, "secret")
      }
    })
  )

  it.effect("with a user name is shown without it, and sent with it as a header", () =>
    Effect.gen(function* () {
      const { authorization, base, place } = yield* reading("https://ada:s%3Acret@host/ops")
      assert.deepStrictEqual([base, place], ["https://host/ops", "https://host/ops"])
      assert.strictEqual(Option.map(authorization, Redacted.value).pipe(Option.getOrThrow), "Basic YWRhOnM6Y3JldA==")
    })
  )
})

describe("the token of the environment", () => {
  it.effect("goes to this machine and over https", () =>
    Effect.gen(function* () {
      for (const url of [
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost",
        "https://host",
        "http://127.9.9.9"
      ]) {
        const { authorization } = yield* reading(url, withToken)
        assert.strictEqual(Option.map(authorization, Redacted.value).pipe(Option.getOrThrow), "Bearer tok")
      }
    })
  )

  it.effect("goes nowhere over plain http, except where that is wanted", () =>
    Effect.gen(function* () {
      for (const url of [
        "http://host",
        "http://10.0.0.1",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org"
      ]) {
        assert.include((yield* Effect.flip(reading(url, withToken))).message, "not sent over plain http")
        assert.isTrue(Option.isSome((yield* reading(url, withToken, true)).authorization))
        assert.isTrue(Option.isNone((yield* reading(url)).authorization))
      }
      assert.include((yield* Effect.flip(reading("http://ada:secret@host"))).message, "the password is not sent")
    })
  )

  it.effect("is none if it is empty, and is never shown", () =>
    Effect.gen(function* () {
      assert.isTrue(Option.isNone((yield* reading("https://host", { EFFECT_POOL_TOKEN: "  " })).authorization))
      for (const [url, value] of [
        ["https://host", "tok\x1b[31m"],
        ["https://ada:x@host", "tok"]
      ] as const) {
        const exit = yield* Effect.exit(reading(url, { EFFECT_POOL_TOKEN: value }))
        assert.isTrue(Exit.isFailure(exit))
        assert.notInclude(JSON.stringify(exit), "tok")
      }
    })
  )
})
