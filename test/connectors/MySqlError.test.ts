import { assert, describe, it } from "@effect/vitest"
import { classify, isFatal, toSqlError } from "../../src/connectors/MySqlError.ts"

const error = (fields: object) => Object.assign(new Error("the driver's words"), fields)
const server = (errno: number, sqlState = "HY000") => error({ code: "ER_SOMETHING", errno, sqlState })

describe("an error of MySQL", () => {
  it.each([
    ["too many connections", server(1040, "08004"), "overloaded"],
    ["too many connections of one user", server(1203, "42000"), "overloaded"],
    ["a user's max_user_connections", server(1226, "42000"), "overloaded"],
    ["no thread for another connection", server(1135), "overloaded"],
    ["access denied", server(1045, "28000"), "permanent"],
    ["access denied to the database", server(1044, "42000"), "permanent"],
    ["access denied without a password", server(1698, "28000"), "permanent"],
    ["an account that is locked", server(4151), "permanent"],
    ["an expired password", server(1862), "permanent"],
    ["an unknown database", server(1049, "42000"), "permanent"],
    ["a host that is blocked", server(1129), "permanent"],
    ["a host that may not come", server(1130), "permanent"],
    ["TLS is demanded", server(3159), "permanent"],
    ["an unknown variable", server(1193), "permanent"],
    ["no TLS", error({ code: "HANDSHAKE_NO_SSL_SUPPORT", fatal: true }), "permanent"],
    ["a wrong certificate", error({ code: "HANDSHAKE_SSL_ERROR", fatal: true }), "permanent"],
    ["a plugin that is not known", error({ code: "AUTH_SWITCH_PLUGIN_ERROR", fatal: true }), "permanent"],
    [
      "a connection lost while TLS began",
      error({ code: "HANDSHAKE_SSL_ERROR", errno: -104, syscall: "read", fatal: true }),
      "transient"
    ],
    ["a shutdown", server(1053, "08S01"), "transient"],
    ["a refused connection", error({ code: "ECONNREFUSED", errno: -111, fatal: true }), "transient"],
    ["a connection that was lost", error({ code: "PROTOCOL_CONNECTION_LOST", fatal: true }), "transient"]
  ] as const)("to connect: %s", (_name, cause, kind) => {
    assert.strictEqual(classify(toSqlError(cause, "connect")), kind)
  })

  it.each([
    ["a killed session", server(1927), true],
    ["a shutdown", server(1053), true],
    ["a session that was idle too long", server(4031), true],
    ["a reset socket", error({ code: "ECONNRESET", errno: -104, fatal: true }), true],
    ["a closed connection", new Error("Can't add new command when connection is in closed state"), true],
    ["a wrong statement", server(1064, "42000"), false],
    ["a deadlock", server(1213, "40001"), false],
    ["a duplicate key", server(1062, "23000"), false],
    ["an interrupted statement", server(1317, "70100"), false]
  ] as const)("%s: of use to nobody afterwards: %s", (_name, cause, fatal) => {
    assert.strictEqual(isFatal(toSqlError(cause, "execute")), fatal)
  })
})
