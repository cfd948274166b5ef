/** How a user of the load laboratory writes which policies are to be compared: `predictive,threshold/unshed,fixed:20`. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export interface PolicyName {
  /** As it stands in tables and pictures: the same policy has the same label, however it was written. */
  readonly label: string
  readonly policy: "predictive" | "threshold" | "fixed"
  /** How many, of a fixed number. */
  readonly connections?: number | undefined
  /** It refuses early where the configuration does not say otherwise. */
  readonly sheds: boolean
  /** It has never more connections than where the server gets the most done. */
  readonly kneeIsCeiling: boolean
}

/** What there is, as an error says it. */
export const policyForms =
  `predictive, threshold, fixed:20 (always 20 connections); each with /unshed for no shedding, ` +
  `predictive also with /knee for never more connections than the server has use for`

/**
 * Some policies are not named right. Names all of them.
 *
 * - `problems`: what was written (`written`), and what is wrong with it (`fault`).
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyNameError extends Schema.TaggedError<PolicyNameError>("effect-pool/laboratory/PolicyNameError")(
  "PolicyNameError",
  { problems: Schema.Array(Schema.Struct({ written: Schema.String, fault: Schema.String })) }
) {
  override get message(): string {
    const lines = this.problems.map(({ fault, written }) => `  ${JSON.stringify(written)}: ${fault}`)
    const count = `${lines.length} wrong polic${lines.length === 1 ? "y" : "ies"}`
    return `${count}:\n${lines.join("\n")}\nThere are ${policyForms}.`
  }
}

/** Reads a list with commas. */
export const parsePolicies = (list: string): Effect.Effect<ReadonlyArray<PolicyName>, PolicyNameError> => {
  const read: Array<PolicyName> = []
  const problems: Array<{ readonly written: string; readonly fault: string }> = []
  for (const written of list.split(",")) {
    const policy = parsePolicy(written.trim())
    if (typeof policy === "string") problems.push({ written, fault: policy })
    else if (read.some(({ label }) => label === policy.label)) problems.push({ written, fault: "named twice" })
    else read.push(policy)
  }
  return problems.length === 0 ? Effect.succeed(read) : Effect.fail(new PolicyNameError({ problems }))
}

/** A policy, or what is wrong with it. */
const parsePolicy = (written: string): PolicyName | string => {
  if (written === "") return "no policy"
  const [name = "", ...options] = written.split("/")
  const kind = parseKind(name)
  if (typeof kind === "string") return kind
  const fault = optionFault(kind.policy, options)
  if (fault !== undefined) return fault
  const kneeIsCeiling = options.includes("knee")
  const sheds = !options.includes("unshed")
  const label = `${kind.label}${kneeIsCeiling ? "/knee" : ""}${sheds ? "" : "/unshed"}`
  return { ...kind, label, sheds, kneeIsCeiling }
}

type Kind = Pick<PolicyName, "label" | "policy" | "connections">

const parseKind = (name: string): Kind | string => {
  const [policy = "", size, ...rest] = name.split(":")
  if (policy === "fixed") return parseFixed(rest.length === 0 ? size : name.slice("fixed:".length))
  if (policy !== "predictive" && policy !== "threshold") return `no policy is called ${JSON.stringify(policy)}`
  return size === undefined ? { label: policy, policy } : `${policy} takes no number`
}

/** No pool has more. */
const most = 1_000_000

const parseFixed = (size: string | undefined): Kind | string => {
  const connections = /^\d+$/.test(size ?? "") ? Number(size) : 0
  return connections >= 1 && connections <= most
    ? { label: `fixed:${connections}`, policy: "fixed", connections }
    : `fixed takes a whole number from 1 to ${most}, as in fixed:20`
}

const optionFault = (policy: Kind["policy"], options: ReadonlyArray<string>): string | undefined => {
  const unknown = options.find((option) => option !== "unshed" && option !== "knee")
  if (unknown !== undefined) return `no option is called ${JSON.stringify(`/${unknown}`)}`
  if (options.includes("knee") && policy !== "predictive") return `${policy} has no option /knee`
  const repeated = options.find((option, index) => options.indexOf(option) !== index)
  return repeated === undefined ? undefined : `/${repeated} is there twice`
}
