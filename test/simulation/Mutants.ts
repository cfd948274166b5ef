/**
 * Bugs that a pool might have, each as a change of one line of the compiled sources. The simulation is as good as what it
 * finds: every one of these has to be caught.
 */
export interface Mutant {
  readonly bug: string
  readonly file: string
  readonly line: string
  readonly becomes: string
  /** Where to look for it: what is rare in all scenarios in turn may be common in one. */
  readonly scenario?: string
}

const engine = (module: string, bug: string, line: string, becomes = ""): Mutant => ({
  bug,
  file: `engine/${module}.js`,
  line,
  becomes
})

const runtime = (module: string, bug: string, line: string, becomes = ""): Mutant => ({
  bug,
  file: `runtime/${module}.js`,
  line,
  becomes
})

export const mutants: ReadonlyArray<Mutant> = [
  // Leases and waiters.
  engine("Lending", "a waiter that leaves stays in line", "ledger.waiters.remove(waiter);"),
  engine("Lending", "what an interrupted waiter was served is kept", "returnUntouched(ledger, waiter, now);"),
  runtime("Lending", "the engine never hears of an interrupt", "engine.cancel(borrower, runtime.now());"),
  runtime("Returning", "a lease is never given back", "engine.release(lease, lease.id, outcome, now);"),
  runtime(
    "Returning",
    "a stale release ends the lease of whoever has the connection by now",
    "engine.release(lease, lease.id, outcome, now);",
    "engine.release(lease, lease.id, outcome, now), runtime.later(() => lease.id > 0 && engine.release(lease, lease.id, outcome, now));"
  ),
  runtime("Returning", "a lease that was taken back is given back again", "if (lease.id === 0)", "if (false)"),
  engine("Ledger", "a lease that is over goes on", "lease.id = 0;"),
  engine(
    "Lending",
    "a wake is lost: a connection rests beside who waits",
    "offer(ledger, connection, now);\n        return false;",
    "ledger.rest(connection);\n        return false;"
  ),
  engine("Lending", "a lease goes to one whose deadline has passed", "if (now >= first.deadline)", "if (false)"),
  engine(
    "Ledger",
    "deadlines are never looked at",
    "for (let waiter = line.first; waiter !== undefined && now >= waiter.deadline; waiter = line.first) {",
    "for (let waiter; waiter !== undefined;) {"
  ),
  engine(
    "Ledger",
    "a waiter that was served stays in line",
    "serve(connection, waiter, now) {",
    'serve(connection, waiter, now) { this.waiters.push(waiter); waiter.state = "waiting"; this.waiters.remove(waiter); waiter.ahead = waiter;'
  ),
  engine(
    "Waiters",
    "the last in line comes first",
    "waiter.ahead = this.last;",
    "if (this.first !== undefined) { waiter.behind = this.first; this.first.ahead = waiter; this.first = waiter; this.length++; return; }"
  ),
  engine(
    "Engine",
    "the deadline is armed anew with every look",
    "if (ledger.isEnding)\n            return Infinity;",
    "for (let w = ledger.waiters.first; w !== undefined; w = w.behind) w.deadline += 7;\n        if (ledger.isEnding)\n            return Infinity;"
  ),
  // Connections and their numbers.
  engine(
    "Ledger",
    "a closing connection is not counted",
    'connection.state = "closing";',
    'connection.state = "closing"; this.connections.delete(connection);'
  ),
  engine("Ledger", "a closed connection goes on counting", "this.connections.delete(connection);"),
  engine(
    "Ledger",
    "a connection is closed twice",
    'this.decide({ _tag: "Close", connection, reason });',
    'this.decide({ _tag: "Close", connection, reason }), this.decide({ _tag: "Close", connection, reason });'
  ),
  engine(
    "Planner",
    "one more than the maximum is opened",
    "const room = view.limit - view.total;",
    "const room = view.limit - view.total + 1;"
  ),
  engine("Opening", "a connect that failed keeps its place", 'ledger.close(connection, "connectFailed", now);'),
  runtime(
    "Upkeep",
    "what a connect has opened is closed before it has ended",
    "Effect.flatMap(endWork(resource, closeTimeout), (isOver) => Effect.as(Scope.close(resource.scope, Exit.void), isOver))",
    "Effect.as(Scope.close(resource.scope, Exit.void), true)"
  ),
  // What may be lent.
  engine("Lending", "what was left behind is not reset", "if (connection.isDirty && canReset)", "if (false)"),
  engine("Lending", "an interrupted lease is trusted", 'if (outcome === "suspect")', "if (false)"),
  engine("Engine", "a broken connection is lent on", 'this.ledger.condemn(connection, "broken", now);'),
  engine(
    "Engine",
    "a discarded connection is lent on",
    'this.ledger.condemn(lease.connection, "discarded", now);',
    "{}"
  ),
  engine("Health", "a dead connection stays", 'ledger.condemn(connection, "died", now);'),
  engine(
    "Sharing",
    "more leases than there is room for",
    "connection.leases < ledger.options.concurrency &&",
    "connection.leases < ledger.options.concurrency + 1 &&"
  ),
  engine(
    "Ledger",
    "a reserved connection is shared",
    "if (!isExclusive && connection.leases < this.options.concurrency)",
    "if (connection.leases < this.options.concurrency)"
  ),
  // Outages and hangs.
  engine(
    "Planner",
    "every waiter hammers a server that is down",
    "return view.outage.probeDue && isNeeded ? 1 : 0;",
    "return isNeeded ? 1 : 0;"
  ),
  runtime(
    "Backoff",
    "a backoff step never ends",
    "this.runtime.transition(() => engine.backoffEnded(this.runtime.now()));"
  ),
  engine("Ledger", "a probe that is closed is never made again", "this.outages.probeMayBeMade(now);", ";"),
  engine(
    "Opening",
    "an unavailable pool never recovers",
    'if (ledger.state === "starting" || ledger.state === "unavailable")',
    'if (ledger.state === "starting")'
  ),
  runtime(
    "Upkeep",
    "work that hangs is waited for",
    "const exit = yield* Effect.timeoutOption(Fiber.await(fiber), timeout);",
    "const exit = Option.some(yield* Fiber.await(fiber));"
  ),
  runtime(
    "Upkeep",
    "a close that hangs is waited for",
    "const exit = yield* Effect.timeoutOption(Fiber.await(ending), closeTimeout);",
    "const exit = Option.some(yield* Fiber.await(ending));"
  ),
  {
    ...engine(
      "Planner",
      "a check that hangs is counted on for ever",
      "ledger.promptChecks -= ledger.overdueChecks.take(now);"
    ),
    scenario: "hangs"
  },
  runtime("PoolRuntime", "no timer is ever set", "if (at >= this.alarmAt)", "if (true)"),
  // Operators and the end.
  engine("Control", "a paused pool stays paused", 'ledger.enter(ledger.hasBeenReady ? "ready" : "starting");'),
  engine(
    "Retirement",
    "connects go on that a smaller pool has no room for",
    'if (ledger.surplus > 0 && connection.state === "connecting")',
    "if (false)"
  ),
  engine("Control", "those who wait for a pool that closes wait on", 'ledger.refuseAll("closed", now);'),
  engine("Control", "borrowers of a closing pool keep what they have", "ledger.close(connection, reason, now);", ";"),
  runtime("Upkeep", "a closed connection is still watched", "resource.watcher?.interruptUnsafe();"),
  runtime("PoolRuntime", "fibers outlive the pool", "fiber.interruptUnsafe();", ";"),
  engine(
    "Ledger",
    "an acquire that failed is never told",
    "this.recorder.failed(now, acquire, now - enqueuedAt, refusal);"
  )
]
