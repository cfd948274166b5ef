/** The drawings of `docs/mental-model.md` against the code: their states are those of the status, their arrows what is seen to happen. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Simulation } from "effect-pool/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Connection } from "../../src/engine/Connection.ts"
import { Ledger } from "../../src/engine/Ledger.ts"
import { PoolStatus } from "../../src/index.ts"
import { root } from "../support/DocPages.ts"
import { EngineDriver } from "../support/EngineDriver.ts"

const page = fs.readFileSync(path.join(root, "docs", "mental-model.md"), "utf8")

/** The arrows of the drawing below a heading, as `from --> to`. */
const drawnBelow = (heading: string): ReadonlyArray<string> => {
  const section = page.slice(page.indexOf(`\n## ${heading}\n`))
  const drawing = /```mermaid\nstateDiagram-v2\n([\s\S]*?)```/.exec(section)?.[1] ?? ""
  return drawing
    .trim()
    .split("\n")
    .map((line) => {
      const [, from, to] = /^ *(\S+) --> ([^\s:]+)(?:: .+)?$/.exec(line) ?? []
      assert.isDefined(to, line)
      return `${from} --> ${to}`
    })
}

const statesOf = (arrows: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set(arrows.flatMap((arrow) => arrow.split(" --> ")))].filter((state) => state !== "[*]").sort()

/** The moves of a connection: nothing else sets its state, which the first test makes sure of. */
const moves = ["lend", "rest", "check", "reset", "close", "forget"] as const

interface Seen {
  readonly connections: Set<string>
  readonly pools: Set<string>
}

/** Notes every step that connections and pools take, as long as the scope is open. */
const watch = Effect.acquireRelease(
  Effect.sync(() => {
    const seen: Seen = { connections: new Set(), pools: new Set() }
    const prototype = Ledger.prototype as unknown as Record<string, (this: unknown, ...args: Array<unknown>) => unknown>
    const originals = new Map(["enter", ...moves].map((name) => [name, prototype[name]!] as const))
    for (const name of moves) {
      const original = originals.get(name)!
      prototype[name] = function (connection, ...args) {
        const { leases, state } = connection as Connection<unknown>
        const result = original.call(this, connection, ...args)
        // One more lease on a connection that is shared is no step of the connection.
        const isStep = name !== "lend" || leases === 0
        if (isStep) seen.connections.add(`${state} --> ${(connection as Connection<unknown>).state}`)
        return result
      }
    }
    prototype["enter"] = function (state) {
      seen.pools.add(`${(this as Ledger<unknown>).state} --> ${String(state)}`)
      return originals.get("enter")!.call(this, state)
    }
    return { seen, prototype, originals }
  }),
  ({ originals, prototype }) => Effect.sync(() => originals.forEach((original, name) => (prototype[name] = original)))
)

/** What hardly ever happens in a simulated life: somebody pauses or closes a pool that starts, or that is unavailable. */
const rareLives = (): void => {
  for (const pausesFirst of [true, false]) {
    const starting = new EngineDriver({ minConnections: 1 })
    starting.start()
    if (pausesFirst) starting.pause()
    starting.resume()
    starting.drain()

    const unavailable = EngineDriver.withIdle(1, { minConnections: 1, unavailableAfter: 1000 })
    unavailable.died(1)
    unavailable.wait("somebody")
    unavailable.decided()
    unavailable.openFailed(2)
    unavailable.advance(1000)
    assert.strictEqual(unavailable.ledger.state, "unavailable")
    if (pausesFirst) unavailable.pause()
    unavailable.drain()
  }
}

/** Many lives, of the kinds in which everything happens. Lived once: both drawings are compared with them. */
const lives = Effect.runSync(
  Effect.cached(
    Effect.gen(function* () {
      const { seen } = yield* watch
      yield* Simulation.explore({ scenario: "storm", seeds: 40 })
      yield* Simulation.explore({ scenario: "farewell", seeds: 20 })
      rareLives()
      return seen
    }).pipe(Effect.scoped)
  )
)

describe("a connection", () => {
  it("changes its state in the moves of the ledger, and nowhere else", () => {
    const folder = path.join(root, "src", "engine")
    const places = fs
      .readdirSync(folder)
      .flatMap((name) =>
        Array.from(
          fs.readFileSync(path.join(folder, name), "utf8").matchAll(/\bconnection\.state = "(\w+)"/g),
          () => name
        )
      )
    assert.deepStrictEqual(
      places,
      moves.map(() => "Ledger.ts")
    )
  })

  it("is drawn with the states of the status", () => {
    assert.deepStrictEqual(statesOf(drawnBelow("A connection")), [...PoolStatus.ConnectionState.literals].sort())
  })

  it.effect("is drawn with every step that connections take, and no other", () =>
    Effect.gen(function* () {
      const { connections } = yield* lives
      // What is closed is gone; what is not there yet connects.
      const seen = ["[*] --> connecting", ...connections].map((arrow) => arrow.replace("--> closed", "--> [*]"))
      assert.deepStrictEqual([...drawnBelow("A connection")].sort(), seen.sort())
    })
  )
})

describe("the pool", () => {
  it("is drawn with the states of the status", () => {
    assert.deepStrictEqual(statesOf(drawnBelow("The pool")), [...PoolStatus.State.literals].sort())
  })

  it.effect("is drawn with every step that pools take, and no other", () =>
    Effect.gen(function* () {
      const { pools } = yield* lives
      const seen = ["[*] --> starting", "closed --> [*]", ...pools]
      assert.deepStrictEqual([...drawnBelow("The pool")].sort(), seen.sort())
    })
  )
})
