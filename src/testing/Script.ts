import { Dice, hash } from "./Dice.ts"
import { type OperationName, operations, type Parameters } from "./Operations.ts"
import type { Scenario } from "./Scenario.ts"

/** One line of a script. */
export interface ScriptedOperation {
  /** Its place in the whole script: its dice are thrown with it, whatever else is left out. */
  readonly id: number
  readonly name: OperationName
  /** How long after the operation before, in milliseconds. */
  readonly after: number
  /** How many tasks of the pool and its callers run before it; 1000 stands for all. */
  readonly tasks: number
  readonly parameters: Parameters
}

/** The whole script of a run, from its seed alone. */
export const write = (scenario: Scenario, seed: number): ReadonlyArray<ScriptedOperation> => {
  const names = Object.keys(scenario.weights) as Array<OperationName>
  const total = names.reduce((sum, name) => sum + scenario.weights[name]!, 0)
  const dice = new Dice(0)
  return Array.from({ length: scenario.operations }, (_, id) => {
    dice.reseed(hash(seed, id, 1))
    let mark = dice.next() * total
    const name = names.find((name) => (mark -= scenario.weights[name]!) < 0) ?? names[0]!
    return {
      id,
      name,
      after: dice.pick(scenario.pauses),
      tasks: dice.pick([0, 1, 2, 3, 5, 8, 20, 1000]),
      parameters: operations[name].draw(dice)
    }
  })
}

/** An operation as a reader of the trace sees it. */
export const show = ({ after, id, name, parameters, tasks }: ScriptedOperation): string => {
  const shown = Object.entries(parameters).map(([field, value]) => `${field}: ${value}`)
  const pause = tasks === 1000 ? `${after} ms later` : `${after} ms and ${tasks} tasks later`
  return `${id}. ${name}(${shown.join(", ")}) ${pause}`
}
