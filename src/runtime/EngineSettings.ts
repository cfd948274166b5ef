import * as Duration from "effect/Duration"
import type { EngineOptions } from "../engine/EngineOptions.ts"
import type { PoolConfig } from "../PoolConfig.ts"
import { policyOf } from "../SizingPolicy.ts"
import type { BoundConnector } from "./BoundConnector.ts"

/** The configuration in the engine's numbers. */
export const engineOptions = <A>(
  config: PoolConfig,
  connector: BoundConnector<A>,
  random: () => number
): EngineOptions => ({
  minConnections: config.minConnections,
  maxConnections: config.maxConnections,
  maxConnecting: config.maxConnecting,
  maxWaiting: config.maxWaiting,
  acquireTimeout: Duration.toMillis(config.acquireTimeout),
  connectTimeout: Duration.toMillis(config.connectTimeout),
  leakThreshold: Duration.toMillis(config.leakThreshold),
  checkAfterIdle: Duration.toMillis(config.checkAfterIdle),
  healthCheckInterval: Duration.toMillis(config.healthCheckInterval),
  idleTimeout: Duration.toMillis(config.idleTimeout),
  maxLifetime: Duration.toMillis(config.maxLifetime),
  maxUses: config.maxUses,
  unavailableAfter: Duration.toMillis(config.unavailableAfter),
  warmupBatchSize: config.warmup.batchSize,
  warmupDelay: Duration.toMillis(config.warmup.delay),
  concurrency: config.concurrency,
  nested: config.nested,
  sizing: policyOf(config),
  shedding: {
    isOn: config.shedding.enabled,
    target: Duration.toMillis(config.shedding.target),
    interval: Duration.toMillis(config.shedding.interval)
  },
  canCheck: connector.check !== undefined,
  canReset: connector.reset !== undefined,
  random
})
