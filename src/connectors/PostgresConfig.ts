/** The options of a connector, read from Effect's `Config`. */
import * as Config from "effect/Config"
import * as Option from "effect/Option"
import type { Options } from "./Postgres.ts"

export const configOptions = (prefix: string): Config.Config<Options> =>
  Config.all({
    url: Config.option(Config.Redacted(`${prefix}_URL`)),
    host: Config.option(Config.String(`${prefix}_HOST`)),
    port: Config.option(Config.Port(`${prefix}_PORT`)),
    database: Config.option(Config.String(`${prefix}_DATABASE`)),
    username: Config.option(Config.String(`${prefix}_USERNAME`)),
    password: Config.option(Config.Redacted(`${prefix}_PASSWORD`)),
    ssl: Config.option(Config.Boolean(`${prefix}_SSL`)),
    applicationName: Config.option(Config.String(`${prefix}_APPLICATION_NAME`))
  }).pipe(
    Config.map((read) => ({
      url: Option.getOrUndefined(read.url),
      host: Option.getOrUndefined(read.host),
      port: Option.getOrUndefined(read.port),
      database: Option.getOrUndefined(read.database),
      username: Option.getOrUndefined(read.username),
      password: Option.getOrUndefined(read.password),
      ssl: Option.getOrUndefined(read.ssl),
      applicationName: Option.getOrUndefined(read.applicationName)
    }))
  )
