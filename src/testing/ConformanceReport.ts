import * as Schema from "effect/Schema"

/**
 * What came of one check.
 *
 * - `name`: the promise that was put to the test. `outcome`: `"passed"`, `"failed"` or `"skipped"`.
 * - `detail`: what was seen. `advice`: what to do about it (empty when there is nothing to do).
 *
 * @category models
 * @since 0.1.0
 */
export const CheckResult = Schema.Struct({
  name: Schema.String,
  outcome: Schema.Literals(["passed", "failed", "skipped"]),
  detail: Schema.String,
  advice: Schema.String
})

/**
 * What came of one check.
 *
 * @category models
 * @since 0.1.0
 */
export type CheckResult = typeof CheckResult.Type

const outcomes = ["failed", "skipped", "passed"] as const

const indented = (text: string): ReadonlyArray<string> =>
  text === "" ? [] : text.split("\n").map((line) => `           ${line}`)

const linesOf = ({ advice, detail, name, outcome }: CheckResult): ReadonlyArray<string> => [
  `  ${outcome.padEnd(7)}  ${name}`,
  ...indented(detail),
  ...indented(advice)
]

/**
 * What a connector does right and wrong, check by check, in the order in which they ran.
 *
 * - `connector`: the name of the connector. `checks`: what came of each check.
 *
 * @category models
 * @since 0.1.0
 */
export class Report extends Schema.Class<Report>("effect-pool/testing/Conformance/Report")({
  /** The name of the connector. */
  connector: Schema.String,
  checks: Schema.Array(CheckResult)
}) {
  /** Whether no check has failed. One that was skipped says nothing. */
  get isConformant(): boolean {
    return this.failed.length === 0
  }

  get failed(): ReadonlyArray<CheckResult> {
    return this.checks.filter(({ outcome }) => outcome === "failed")
  }

  get skipped(): ReadonlyArray<CheckResult> {
    return this.checks.filter(({ outcome }) => outcome === "skipped")
  }

  /** The report as text: the numbers, then what failed, what was skipped and what passed. */
  get render(): string {
    const { checks, connector, failed, skipped } = this
    const passed = checks.length - failed.length - skipped.length
    return [
      `${connector}: of ${checks.length} checks ${failed.length} failed, ${skipped.length} were skipped, ${passed} passed`,
      ...outcomes.flatMap((wanted) => checks.filter(({ outcome }) => outcome === wanted).flatMap(linesOf))
    ].join("\n")
  }

  override toString(): string {
    return this.render
  }
}

/**
 * A connector does not keep what connectors promise. The message is the report as text.
 *
 * - `report`: what came of each check.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotConformant extends Schema.TaggedError<NotConformant>("effect-pool/testing/Conformance/NotConformant")(
  "NotConformant",
  { report: Report }
) {
  override get message(): string {
    return this.report.render
  }
}
