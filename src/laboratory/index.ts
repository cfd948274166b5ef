/**
 * The load laboratory.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as Laboratory from "./Laboratory.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  LoadResult,
  /**
   * @category models
   * @since 0.1.0
   */
  LoadSample
} from "./LoadResult.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  LoadScenario
} from "./LoadScenario.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  PolicyNameError
} from "./PolicyName.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  ScenarioError
} from "./ScenarioFile.ts"
