/**
 * What it was measured on. A figure without it says nothing.
 */
import * as fs from "node:fs"
import { cpus } from "node:os"

export interface Surroundings {
  readonly cpu: string
  readonly cores: number
  readonly platform: string
  readonly node: string
  readonly packages: Readonly<Record<string, string>>
}

const contenders = [
  "effect-pool",
  "effect",
  "@effect/sql-pg",
  "pg",
  "pg-pool",
  "postgres",
  "tarn",
  "generic-pool",
  "sequelize-pool",
  "lightning-pool",
  "@databases/connection-pool"
]

/** What is installed, and not what a range allows. Some packages do not let their package.json be read. */
const lock = JSON.parse(fs.readFileSync("package-lock.json", "utf8")) as {
  readonly packages: Readonly<Record<string, { readonly version: string }>>
}

const versionOf = (name: string): string => lock.packages[name === "effect-pool" ? "" : `node_modules/${name}`]!.version

export const surroundings = (): Surroundings => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  platform: `${process.platform} ${process.arch}`,
  node: process.version,
  packages: Object.fromEntries(contenders.map((name) => [name, versionOf(name)]))
})
