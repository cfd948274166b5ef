/** What `npx effect-pool` needs of the machine it is called on, and what it says when that is not there. Imports nothing. */

/** As in the `engines` of package.json. */
const oldest = [20, 19] as const

/** What to say to a Node that is too old; `undefined` for one that is not. */
export const problemOfNode = (version: string): string | undefined => {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
    ? undefined
    : `effect-pool needs Node ${oldest.join(".")} or newer; this is Node ${version.replace(/^v/, "")}.`
}

/** What to say when a package that the commands need is not installed; `undefined` if that is not what the error says. */
export const problemOfImport = (error: unknown): string | undefined => {
  const message = error instanceof Error ? error.message : String(error)
  const name = /(?:Cannot|Could not) find (?:package|module) ["']((?:@[^/"']+\/)?[^/"']+)/.exec(message)?.[1]
  return name === undefined || name.startsWith(".")
    ? undefined
    : `The commands of effect-pool need ${name}, which is not installed here: npm install ${name}`
}
