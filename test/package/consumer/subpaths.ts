/** Every entry of the package, with its types, where all optional peers are installed. Nothing is opened. */
import type { PgConnection } from "@effect/sql-pg/PgConnection"
import type { Effect, Scope } from "effect"
import * as core from "effect-pool"
import * as ConnectionPool from "effect-pool/ConnectionPool"
import * as Connector from "effect-pool/Connector"
import * as DatabaseConnection from "effect-pool/DatabaseConnection"
import * as KeyedPool from "effect-pool/KeyedPool"
import * as MySql from "effect-pool/MySql"
import * as PoolAdvisor from "effect-pool/PoolAdvisor"
import * as PoolConfig from "effect-pool/PoolConfig"
import * as PoolError from "effect-pool/PoolError"
import * as PoolEvent from "effect-pool/PoolEvent"
import * as PoolLayer from "effect-pool/PoolLayer"
import * as PoolMetrics from "effect-pool/PoolMetrics"
import * as PoolRegistry from "effect-pool/PoolRegistry"
import * as PoolReport from "effect-pool/PoolReport"
import * as PoolStatus from "effect-pool/PoolStatus"
import * as PoolTracing from "effect-pool/PoolTracing"
import * as Postgres from "effect-pool/Postgres"
import * as Priority from "effect-pool/Priority"
import * as Redis from "effect-pool/Redis"
import * as Replicas from "effect-pool/Replicas"
import * as RetryPolicy from "effect-pool/RetryPolicy"
import * as SizingPolicy from "effect-pool/SizingPolicy"
import * as Sql from "effect-pool/Sql"
import * as Sqlite from "effect-pool/Sqlite"
import * as SurrealDb from "effect-pool/SurrealDb"
import * as TypedPools from "effect-pool/TypedPools"
import { PoolHttp } from "effect-pool/http"
import { Laboratory } from "effect-pool/laboratory"
import { Chaos, Conformance, Simulation, TestConnector } from "effect-pool/testing"

class Db extends PoolLayer.Service<Db, PgConnection>()("consumer/Db") {}

/** The types of the driver come through. */
export const acquired: Effect.Effect<PgConnection, PoolError.AcquireError, Db | Scope.Scope> = Db.acquire
export const layer = Db.layer(Postgres.connector({ url: "postgres://app@localhost/app" }), PoolConfig.production)

const inCore = {
  ConnectionPool,
  Connector,
  DatabaseConnection,
  KeyedPool,
  PoolAdvisor,
  PoolConfig,
  PoolError,
  PoolEvent,
  PoolLayer
}
const restOfCore = {
  PoolMetrics,
  PoolRegistry,
  PoolReport,
  PoolStatus,
  PoolTracing,
  Priority,
  Replicas,
  RetryPolicy,
  SizingPolicy,
  TypedPools
}

/** By whichever way it is imported, a module is the same one. */
const same = Object.entries({ ...inCore, ...restOfCore }).every(
  ([name, module]) => (core as Readonly<Record<string, unknown>>)[name] === module
)
const all = Object.keys(core).every((name) => name in inCore || name in restOfCore)
const connectors = [
  MySql.connector({ url: "mysql://app@localhost/app" }),
  Postgres.connector({ url: "postgres://app@localhost/app" }),
  Redis.connector({ url: "redis://localhost:6379/0" })
].every(Connector.isConnector)
const functions = [
  Sql.layer,
  Sqlite.connector,
  SurrealDb.connector,
  PoolHttp.layer,
  Laboratory.run,
  Chaos,
  Conformance.check
]
const defined = [...functions, Simulation.explore, TestConnector.make].every((one) => one !== undefined)

console.log(`the same ${same}, all ${all}, connectors ${connectors}, defined ${defined}`)
