/**
 * The load laboratory.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as Laboratory from "./Laboratory.ts"

export type { LoadResult, LoadSample } from "./LoadResult.ts"

export type { LoadEvent, LoadPhase, LoadScenario, LoadWork, ServerTraits } from "./LoadScenario.ts"

export type { Estimate } from "./Confidence.ts"

export type { PolicySummary, ScenarioSummary } from "./LoadSummary.ts"

export { PolicyNameError } from "./PolicyName.ts"

export { ScenarioError } from "./ScenarioFile.ts"
