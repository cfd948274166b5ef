/**
 * What it was measured on. A figure without it says nothing.
 */
import { createRequire } from "node:module"
import { cpus } from "node:os"

export interface Surroundings {
  readonly cpu: string
  readonly cores: number
  readonly platform: string
  readonly node: string
  readonly packages: Readonly<Record<string, string>>
}

const require = createRequire(import.meta.url)

const versionOf = (name: string): string => (require(`${name}/package.json`) as { readonly version: string }).version

export const surroundings = (): Surroundings => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  platform: `${process.platform} ${process.arch}`,
  node: process.version,
  packages: { "effect-pool": versionOf("effect-pool"), effect: versionOf("effect") }
})
