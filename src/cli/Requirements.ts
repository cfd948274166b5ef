/** What `npx effect-pool` needs where it is called, and what it says when that is not there. Imports nothing, and runs on any Node. */

/** As in the `engines` of package.json. */
const oldest = [20, 19] as const

/** What to say to a Node that is too old; `undefined` for one that is not. */
export const problemOfNode = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
    ? undefined
    : `effect-pool: needs Node ${oldest.join(".")} or newer, and this is Node ${version}.`
}

/** What to say when a peer is not installed; `undefined` if the error says something else. In the words of Node, Bun and Deno. */
export const problemOfImport = (error: unknown): string | undefined => {
  const message = error instanceof Error ? error.message : String(error)
  const peer = /(?:Cannot|Could not) find package '(@effect\/platform-node|effect)'/.exec(message)?.[1]
  return peer === undefined
    ? undefined
    : `effect-pool: this command needs ${peer}, which is not installed here:\n\n  npm install ${peer}\n`
}
