/** One run: the script, then the end that every run comes to, whatever the script has left behind. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ConnectionPool from "../ConnectionPool.ts"
import { borrow, type Work } from "./Borrowing.ts"
import { hash } from "./Dice.ts"
import { type OperationKind, operations, type Stage } from "./Operations.ts"
import { type ScriptedOperation, show } from "./Script.ts"
import { millisOf, type Setting, World } from "./World.ts"

/** What a borrower does who only wants to know whether there is a connection. */
const quickly: Work = {
  by: "use",
  millis: 0,
  ending: "succeeds",
  leavesDirt: false,
  discards: false,
  strikes: false,
  nested: 0,
  patience: 0,
  isBatch: false
}

/** How often callers come back in the end before they must all be served. */
const rounds = 3

/** Performs a script from beginning to end, or to the first promise that is broken. */
export const perform = (setting: Setting, script: ReadonlyArray<ScriptedOperation>, seed: number): World => {
  const world = new World(setting, hash(seed, 2))
  const stage: Stage = { world, loans: [] }
  for (const scripted of script) {
    // Of their own for each operation: leaving one out must not change what the others meet.
    world.dice.reseed(hash(seed, scripted.id, 3))
    if (scripted.after > 0) world.pass(scripted.after)
    world.run(scripted.tasks)
    if (world.breached !== undefined) return world
    world.step++
    world.note(show(scripted))
    const { perform }: OperationKind = operations[scripted.name]
    perform(stage, scripted.parameters, `${scripted.name}#${scripted.id}`)
    world.look()
    world.noteNumbers()
  }
  world.dice.reseed(hash(seed, 4))
  end(stage)
  return world
}

const end = (stage: Stage): void => {
  const { world } = stage
  const isClosedInTrouble = world.dice.chance(0.3)
  world.note("the script has ended")
  if (world.closing === undefined && !isClosedInTrouble) recover(stage)
  if (world.breached === undefined) closeDown(stage)
}

const returnLoans = ({ loans }: Stage): void => {
  for (const loan of loans) loan.close(Exit.void)
}

/** Promise 7: when the last fault clears, the pool finds its way back, and everybody is served. */
const recover = (stage: Stage): void => {
  const { world } = stage
  const { config, observer, server } = world
  server.repair()
  if (world.pool !== undefined) world.runSync(Effect.exit(ConnectionPool.resume(world.pool)))
  returnLoans(stage)
  world.note("  everything is repaired")
  const minConnections = world.status()?.minConnections ?? config.minConnections
  const batches = Math.ceil(minConnections / config.warmup.batchSize)
  world.pass(
    [config.connectTimeout, config.checkTimeout, config.resetTimeout, config.closeTimeout, config.retry.max, 3000]
      .map((duration) => millisOf(duration))
      .reduce((sum, millis) => sum + millis, batches * (millisOf(config.warmup.delay) + 5))
  )
  world.settle()
  world.noteNumbers()
  if (world.breached !== undefined) return
  const made = world.making.pollUnsafe()
  if (made === undefined) return world.breach(7, "the server is well again, and the pool does not come to be")
  const status = world.status()
  if (status === undefined) return
  if (status.state !== "ready") return world.breach(7, `the server is well again, and the pool is ${status.state}`)
  // One of them may just be too old: then another is on its way.
  const hasMinimum = world.passUntil(() => usableIn(world) >= status.minConnections, 3000)
  if (!hasMinimum) return world.breach(7, "the server is well again, and minConnections are not open")
  // A pool whose connections have all died young waits for someone to need one, and may refuse the first who do.
  let missing = 1
  for (let round = 1; missing > 0 && round <= rounds && world.breached === undefined; round++) {
    const { ServiceUnavailable: before = 0 } = observer.refused
    const served = observer.served
    const callers = Math.min(3, status.maxConnections)
    for (let number = 1; number <= callers; number++) borrow(world, world.pool!, `last#${round}.${number}`, quickly)
    world.passUntil(() => observer.callers.length === 0, millisOf(config.acquireTimeout) + 500)
    missing = callers - (observer.served - served)
    const { ServiceUnavailable: after = 0 } = observer.refused
    if (missing > after - before) break
    if (missing > 0) world.pass(millisOf(config.connectTimeout) + millisOf(config.retry.max))
  }
  if (missing > 0) world.breach(7, `the server is well again, and ${missing} callers get no connection`)
}

const usableIn = (world: World): number => {
  const { checking, idle, inUse, resetting } = world.status()!
  return idle + inUse + checking + resetting
}

/** Promises 3, 9, 10 and 11: closing ends, and leaves nothing behind. */
const closeDown = (stage: Stage): void => {
  const { world } = stage
  const { config, observer, server } = world
  world.close()
  world.note("  the pool closes")
  const longest = millisOf(config.drainTimeout) + millisOf(config.closeTimeout) + world.stalled + 3
  const isClosed = world.passUntil(() => world.closing!.pollUnsafe() !== undefined, longest)
  if (!isClosed) world.breach(9, `the pool is not closed after ${longest} ms`)
  if (world.breached !== undefined) return
  const refused = world.pool === undefined ? undefined : borrow(world, world.pool, "late", quickly)
  world.noteNumbers()
  server.repair()
  returnLoans(stage)
  world.settle()
  for (const caller of observer.callers) observer.interrupt(caller)
  if (world.making.pollUnsafe() === undefined) world.breach(9, "the pool is closed, and its making goes on")
  // What nobody can interrupt ends by itself.
  world.passUntil(() => server.books.works.size === 0, 60_000)
  world.settle()
  if (refused?.fiber.pollUnsafe()?._tag === "Success") world.breach(9, "a closed pool lends a connection")
  if (world.breached === undefined) lookAtWhatIsLeft(world)
}

const lookAtWhatIsLeft = (world: World): void => {
  const { clock, fibers, observer, server } = world
  for (const { what } of server.books.works) world.breach(11, `${what} does not end`)
  if (clock.sleeping > 0) world.breach(11, `${clock.sleeping} timers are left`)
  if (fibers > 0) world.breach(11, `${fibers} fibers are left`)
  for (const { borrowers, finalizers, id, watchers } of server.books.connections) {
    if (watchers > 0) world.breach(11, `connection ${id} is still watched`)
    if (finalizers !== 1) world.breach(3, `the finalizer of connection ${id} has run ${finalizers} times`)
    if (borrowers !== 0) world.breach(3, `connection ${id} has ${borrowers} borrowers in the end`)
  }
  const status = world.status()
  if (status === undefined) return
  const { acquired, closed, created, released, shed, state, timedOut, total } = status
  if (state !== "closed" || total !== 0) world.breach(9, `a closed pool is ${state} and has ${total} connections`)
  if (acquired !== released) world.breach(10, `${acquired} leases were given, and ${released} returned`)
  if (created !== closed) world.breach(10, `${created} connections were opened, and ${closed} closed`)
  if (created > server.books.connections.length) world.breach(10, `created is ${created}, the server opened fewer`)
  if (acquired < observer.served) world.breach(10, `acquired is ${acquired}, and ${observer.served} were served`)
  const { AcquireTimeout = 0, PoolOverloaded = 0 } = observer.refused
  if (timedOut < AcquireTimeout)
    world.breach(10, `timedOut is ${timedOut}, and ${AcquireTimeout} callers ran out of time`)
  world.lookAtEvents()
  if (shed < PoolOverloaded) world.breach(10, `shed is ${shed}, and ${PoolOverloaded} callers were`)
}
