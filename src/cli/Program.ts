/** The program of `npx effect-pool`: runs as soon as it is imported. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { effectPool, presenter } from "./EffectPool.ts"

const Manifest = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

/** The package's own `package.json` stands two folders up, from the sources as well as from what they are compiled to. */
const version = Effect.gen(function* () {
  const path = yield* Path.Path
  const fileSystem = yield* FileSystem.FileSystem
  const file = yield* path.fromFileUrl(new URL("../../package.json", import.meta.url))
  const manifest = yield* Schema.decodeEffect(Manifest)(yield* fileSystem.readFileString(file))
  return manifest.version
})

version.pipe(
  Effect.flatMap((version) => Command.run(effectPool, { version })),
  Effect.provideService(CliOutput.Presenter, presenter),
  Effect.provide([NodeServices.layer, FetchHttpClient.layer]),
  NodeRuntime.runMain
)
