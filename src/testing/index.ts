/**
 * What tests of programs with a pool need.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as Chaos from "./Chaos.ts"

/** @since 0.1.0 */
export * as Conformance from "./Conformance.ts"

/** @since 0.1.0 */
export * as Simulation from "./Simulation.ts"

/** @since 0.1.0 */
export * as LeaseHistory from "./LeaseHistory.ts"

/** @since 0.1.0 */
export * as TestConnector from "./TestConnector.ts"

/** @since 0.1.0 */
export * as TestPool from "./TestPool.ts"
