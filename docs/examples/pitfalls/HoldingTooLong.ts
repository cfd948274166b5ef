/** A connection that is kept while something else is done: here a report that is sent somewhere, which takes a second. */
import { Effect } from "effect"
import { Db, tell, way } from "./Shop.ts"

const send = (rows: string) => Effect.delay(Effect.succeed(`sent ${rows}`), "1 second")

/** Wrong: nobody needs the connection while the report is on its way, and nobody else gets it. */
const exportReportHolding = Effect.fn("ReportService.export")((month: number) =>
  Db.use((connection) => Effect.flatMap(connection.query(`report ${month}`), send))
)

/** Right: borrow, read, give back, send. */
const exportReport = Effect.fn("ReportService.export")(function* (month: number) {
  const rows = yield* Db.use((connection) => connection.query(`report ${month}`))
  return yield* send(rows)
})

const findOrder = Effect.fn("findOrder")((id: number) => Db.use((connection) => connection.query(`order ${id}`)))

/** Two reports, and somebody who wants an order while they are on their way. */
const reportsAnd = (exportOne: typeof exportReport) =>
  Effect.gen(function* () {
    // Some orders before, so that the pool knows how long a lease usually is.
    yield* Effect.replicateEffect(findOrder(1), 80, { concurrency: 2, discard: true })
    const reports = Effect.forEach([1, 2], (month) => tell(`report ${month}`, exportOne(month)), { concurrency: 2 })
    const order = Effect.delay(tell("order 7", findOrder(7)), "50 millis")
    yield* Effect.all([order, reports], { concurrency: 2 })
  })

/** Whoever looks at an order does not wait for long. */
const patience = { acquireTimeout: "400 millis", leakThreshold: "1 minute" } as const

export const holding = Effect.andThen(
  way("wrong: the connection is held while the report is sent", reportsAnd(exportReportHolding), patience),
  way("right: the connection is held while it is used", reportsAnd(exportReport), patience)
)
