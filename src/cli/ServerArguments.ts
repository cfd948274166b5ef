/** What every command that talks to a server is given. */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as PoolServer from "./PoolServer.ts"
import * as ServerUrl from "./ServerUrl.ts"

export const url = Argument.String("url").pipe(
  Argument.withDescription("Where the routes of PoolHttp are mounted, as in http://127.0.0.1:9464")
)

export const pool = Argument.String("pool").pipe(Argument.withDescription("The pool's name, as status shows it"))

export const insecure = Flag.Boolean("insecure").pipe(
  Flag.withDescription("Send the token over plain http to another machine"),
  Flag.withDefault(false)
)

export const json = (description: string) =>
  Flag.Boolean("json").pipe(Flag.withDescription(description), Flag.withDefault(false))

export const aboutToken =
  "The token, where the server asks for one, is read from the environment: EFFECT_POOL_TOKEN. It is sent over https, or to this machine."

export const aboutExit =
  "Ends with 0 when done, 1 when the server refuses or a value is wrong, 2 when there is no answer."

/** The server at that address. */
export const serverAt = Effect.fnUntraced(function* (given: { readonly url: string; readonly insecure: boolean }) {
  return yield* PoolServer.connect(yield* ServerUrl.read(given.url, given.insecure))
})
