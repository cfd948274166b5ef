import { assert, describe, it } from "@effect/vitest"
import { mayBlock, sessionEffectOf, takesAway } from "../../src/connectors/RedisCommands.ts"

const cases: ReadonlyArray<readonly [command: string, effect: string]> = [
  ["GET x", "nothing"],
  ["PUBLISH news 1", "nothing"],
  ["UNSUBSCRIBE news", "nothing"],
  ["CLIENT ID", "nothing"],
  ["CLIENT list", "nothing"],
  ["CLIENT KILL ID 7", "nothing"],
  ["SCRIPT LOAD x", "nothing"],
  ["SELECT 3", "dirties"],
  ["SUBSCRIBE news", "dirties"],
  ["PSUBSCRIBE n*", "dirties"],
  ["SSUBSCRIBE shard", "dirties"],
  ["AUTH app right", "dirties"],
  ["READONLY", "dirties"],
  ["RESET", "dirties"],
  ["CLIENT SETNAME me", "dirties"],
  ["CLIENT TRACKING ON", "dirties"],
  ["CLIENT NO-EVICT ON", "dirties"],
  ["CLIENT reply off", "breaks"],
  ["MONITOR", "breaks"],
  ["HELLO 2", "breaks"],
  ["PSYNC ? -1", "breaks"],
  ["SCRIPT DEBUG YES", "breaks"],
  ["MULTI", "multi"],
  ["EXEC", "exec"],
  ["DISCARD", "discard"],
  ["WATCH x", "watch"],
  ["UNWATCH", "unwatch"]
]

const partsOf = (command: string): readonly [string, ReadonlyArray<string>] => {
  const [name = "", ...args] = command.split(" ")
  return [name, args]
}

describe("what a command of Redis leaves behind", () => {
  it.each(cases)("%s: %s", (command, effect) => {
    assert.strictEqual(sessionEffectOf(...partsOf(command)), effect)
  })
})

describe("whether a command of Redis may block, and takes something away", () => {
  it.each([
    ["BLPOP q 0", true, true],
    ["BZPOPMAX z 0", true, true],
    ["BLMOVE a b LEFT RIGHT 0", true, false],
    ["BRPOPLPUSH a b 0", true, false],
    ["WAIT 1 0", true, false],
    ["XREAD BLOCK 0 STREAMS s $", true, false],
    ["XREAD COUNT 1 STREAMS s 0", false, false],
    ["XREADGROUP GROUP g c block 0 STREAMS s >", true, false],
    ["XREADGROUP GROUP g c NOACK STREAMS s >", false, true],
    ["LPOP q", false, true],
    ["GETDEL k", false, true],
    ["LMOVE a b LEFT RIGHT", false, false],
    ["GET k", false, false]
  ])("%s: %s, %s", (command, blocks, takes) => {
    const [name, args] = partsOf(command)
    assert.deepStrictEqual([mayBlock(name, args), takesAway(name, args)], [blocks, takes])
  })
})
