/**
 * The pools of a process over HTTP: status, events, health, metrics, a live page, and operator actions.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as ConsoleFeed from "./ConsoleFeed.ts"

/** @since 0.1.0 */
export * as PoolApi from "./PoolApi.ts"

/** @since 0.1.0 */
export * as PoolHttp from "./PoolHttp.ts"
