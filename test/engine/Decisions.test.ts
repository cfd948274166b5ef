/** Decisions are carried out in the order in which they were made, each of them once. */
import { assert, describe, it } from "@effect/vitest"
import { type Decision, Decisions } from "../../src/engine/Decision.js"
import { NamedWaiter } from "../support/EngineDriver.ts"

const serve = (name: string): Decision<string> => ({ _tag: "Serve", waiter: new NamedWaiter(name) })

const nameOf = (decision: Decision<string> | undefined): string | undefined =>
  decision?._tag === "Serve" ? (decision.waiter as NamedWaiter).name : undefined

describe("decisions", () => {
  it("are taken in order", () => {
    const decisions = new Decisions<string>()
    for (const name of ["a", "b", "c"]) decisions.add(serve(name))
    const taken = [decisions.next(), decisions.next(), decisions.next()].map(nameOf)
    assert.deepStrictEqual(taken, ["a", "b", "c"])
  })

  it("are taken in order while more are added, in any number", () => {
    const decisions = new Decisions<string>()
    const taken: Array<string | undefined> = []
    for (let index = 0; index < 5000; index++) {
      decisions.add(serve(`${2 * index}`))
      decisions.add(serve(`${2 * index + 1}`))
      taken.push(nameOf(decisions.next()))
    }
    while (!decisions.isEmpty) taken.push(nameOf(decisions.next()))
    assert.deepStrictEqual(
      taken,
      Array.from({ length: 10_000 }, (_, index) => `${index}`)
    )
  })

  it("are none when all are taken", () => {
    const decisions = new Decisions<string>()
    decisions.add(serve("a"))
    decisions.next()
    assert.deepStrictEqual([decisions.isEmpty, decisions.next()], [true, undefined])
  })

  it("are pending until they are taken", () => {
    const decisions = new Decisions<string>()
    decisions.add(serve("a"))
    assert.isFalse(decisions.isEmpty)
  })
})
