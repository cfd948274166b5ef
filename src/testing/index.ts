/**
 * What tests of programs with a pool need.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as Simulation from "./Simulation.ts"
