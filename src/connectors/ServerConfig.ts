/** Where a database's server is and who we are there, read from Effect's `Config`: the same names for each kind of server. */
import * as Config from "effect/Config"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"

/** What is not in the configuration is left to the connector. */
export interface ServerOptions {
  readonly url: Redacted.Redacted | undefined
  readonly host: string | undefined
  readonly port: number | undefined
  readonly database: string | undefined
  readonly username: string | undefined
  readonly password: Redacted.Redacted | undefined
  readonly ssl: boolean | undefined
  readonly applicationName: string | undefined
}

export const configOptions = (prefix: string): Config.Config<ServerOptions> =>
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
