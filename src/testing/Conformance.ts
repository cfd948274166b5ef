/**
 * For whoever writes a connector: a list of checks that put it to the test, on a real server, in everything that a pool
 * relies on. A connector that passes keeps its promises when it is interrupted at any point, when its server dies, and when
 * its server does not answer.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Connector } from "../Connector.ts"
import { livingChecks } from "./ConformanceLiving.ts"
import { openingChecks } from "./ConformanceOpening.ts"
import { CheckResult, NotConformant, Report } from "./ConformanceReport.ts"
import { returningChecks } from "./ConformanceReturning.ts"
import { type Check, type Need, type Options, showCause, Subject } from "./ConformanceSubject.ts"

export { CheckResult, NotConformant, Report } from "./ConformanceReport.ts"

export type { Options } from "./ConformanceSubject.ts"

/** How to give what is missing. */
const remedies: { readonly [N in Need]: string } = {
  check: "Give the connector a `check`; without one an interrupted connection is closed.",
  reset: "Give the connector a `reset`, if borrowers can leave something behind.",
  inspect: "Give the connector an `inspect`; without one every lease is followed by a reset.",
  closed: "Give the connector a `closed`; without it a death is noticed by checks and borrowers only.",
  classify: "Give the connector a `classify`; without it every failure to connect is transient.",
  fatal: "Give the connector a `fatal`; without it no error condemns a connection.",
  use: "Give the option `use`: a typical operation of a borrower.",
  dirty: "Give the option `dirty`: it leaves something behind on a connection.",
  isClean: "Give the option `isClean`: whether what `dirty` leaves is gone.",
  kill: "Give the option `kill`: it ends a connection from the server's side.",
  count: "Give the option `count`: how many connections the server has.",
  hang: "Give the option `hang`, with `freeze` and `thaw`: they make the server silent, and let it speak again.",
  connectErrors: "Give the option `connectErrors`: errors that `connect` fails with."
}

const perform = Effect.fnUntraced(function* <A>(
  subject: Subject<A>,
  { name, needs, run }: Check
): Effect.fn.Return<CheckResult> {
  const missing = needs.filter((need) => !subject.has(need))
  if (missing.length > 0) {
    const detail = `lacks ${missing.map((need) => `\`${need}\``).join(" and ")}`
    return { name, outcome: "skipped", detail, advice: missing.map((need) => remedies[need]).join("\n") } as const
  }
  const exit = yield* Effect.exit(run)
  if (Exit.isSuccess(exit)) {
    const { advice = "", detail } = exit.value
    return { name, outcome: "passed", detail, advice } as const
  }
  const fault = Exit.findErrorOption(exit)
  if (fault._tag === "Some") {
    const { advice, detail } = fault.value
    return { name, outcome: "failed", detail, advice } as const
  }
  if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
  return { name, outcome: "failed", detail: `the check broke: ${showCause(exit.cause)}`, advice: "" } as const
})

/**
 * Puts a connector to the test, one check after the other, and says what it does right and wrong. Each check opens its own
 * connections. Never fails, and never hangs: a step that does not end within `timeout` (default: 5 seconds) is a failed
 * check, and a check that interrupts at many moments goes on for no longer than that.
 *
 * What a check needs and is not given makes it `skipped`; the report says how to give it.
 *
 * **Example** (A connector that forgets to close)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connector } from "effect-pool"
 * import { Conformance } from "effect-pool/testing"
 *
 * let open = 0
 * const forgetful = Connector.make({ name: "forgetful", connect: Effect.sync(() => ({ id: ++open })) })
 *
 * const program = Effect.gen(function* () {
 *   const report = yield* Conformance.check(forgetful, { count: Effect.sync(() => open), timeout: "50 millis" })
 *   return report.failed[0]?.name // => "connect opens a connection, and its scope closes it"
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const check: <A, E, R, R2 = never>(
  connector: Connector<A, E, R>,
  options?: Options<A, R2>
) => Effect.Effect<Report, never, R | R2> = Effect.fn("Conformance.check")(function* <A, E, R, R2 = never>(
  connector: Connector<A, E, R>,
  options: Options<A, R2> = {}
): Effect.fn.Return<Report, never, R | R2> {
  // Everything runs on this fiber and its children, which have the services: the checks need not carry the types along.
  const subject = new Subject<A>(connector as unknown as Connector<A, unknown>, options as unknown as Options<A>)
  const all = [...openingChecks(subject), ...livingChecks(subject), ...returningChecks(subject)]
  const checks: Array<CheckResult> = []
  for (const one of all) checks.push(yield* perform(subject, one))
  return new Report({ connector: connector.name, checks })
})

/**
 * Puts a connector to the test, and fails with `NotConformant` when a check fails. Its message is the whole report.
 *
 * **Example** (In the connector's tests)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connector } from "effect-pool"
 * import { Conformance } from "effect-pool/testing"
 *
 * const sockets = new Set<object>()
 * const connector = Connector.make({
 *   name: "orderly",
 *   connect: Effect.acquireRelease(
 *     Effect.sync(() => {
 *       const socket = {}
 *       sockets.add(socket)
 *       return socket
 *     }),
 *     (socket) => Effect.sync(() => sockets.delete(socket))
 *   )
 * })
 *
 * const program = Effect.gen(function* () {
 *   const report = yield* Conformance.assert(connector, { count: Effect.sync(() => sockets.size) })
 *   return report.isConformant // => true
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const assert: <A, E, R, R2 = never>(
  connector: Connector<A, E, R>,
  options?: Options<A, R2>
) => Effect.Effect<Report, NotConformant, R | R2> = Effect.fn("Conformance.assert")(function* <A, E, R, R2 = never>(
  connector: Connector<A, E, R>,
  options: Options<A, R2> = {}
): Effect.fn.Return<Report, NotConformant, R | R2> {
  const report = yield* check(connector, options)
  return report.isConformant ? report : yield* new NotConformant({ report })
})
