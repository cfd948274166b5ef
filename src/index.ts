/**
 * The connection pool for Effect programs.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as ConnectionPool from "./ConnectionPool.ts"

/** @since 0.1.0 */
export * as Connector from "./Connector.ts"

/** @since 0.1.0 */
export * as DatabaseConnection from "./DatabaseConnection.ts"

/** @since 0.1.0 */
export * as KeyedPool from "./KeyedPool.ts"

/** @since 0.1.0 */
export * as PoolAdvisor from "./PoolAdvisor.ts"

/** @since 0.1.0 */
export * as PoolConfig from "./PoolConfig.ts"

/** @since 0.1.0 */
export * as PoolError from "./PoolError.ts"

/** @since 0.1.0 */
export * as PoolEvent from "./PoolEvent.ts"

/** @since 0.1.0 */
export * as PoolLayer from "./PoolLayer.ts"

/** @since 0.1.0 */
export * as PoolMetrics from "./PoolMetrics.ts"

/** @since 0.1.0 */
export * as PoolRegistry from "./PoolRegistry.ts"

/** @since 0.1.0 */
export * as PoolReport from "./PoolReport.ts"

/** @since 0.1.0 */
export * as PoolStatus from "./PoolStatus.ts"

/** @since 0.1.0 */
export * as PoolTracing from "./PoolTracing.ts"

/** @since 0.1.0 */
export * as Priority from "./Priority.ts"

/** @since 0.1.0 */
export * as Replicas from "./Replicas.ts"

/** @since 0.1.0 */
export * as RetryPolicy from "./RetryPolicy.ts"

/** @since 0.1.0 */
export * as SizingPolicy from "./SizingPolicy.ts"

/** @since 0.1.0 */
export * as TypedPools from "./TypedPools.ts"
