import type { FailureKind } from "../PoolError.ts"

/** What is wrong with a server. Shares are probabilities from 0 to 1, durations milliseconds. */
export interface Faults {
  /** It refuses every connection, and says so in this way. */
  refuses: FailureKind | undefined
  /** It has room for so many connections, whoever they belong to. */
  room: number
  /** The longest time that a connect takes, and a check or a reset, and a close. */
  connectLatency: number
  workLatency: number
  closeLatency: number
  /** Connects that fail, and those that hang. */
  connectFails: number
  connectHangs: number
  /** Connections that end as soon as they are open. */
  drops: number
  /** Checks that hang, that fail on a live connection, and that succeed on a dead one. */
  checkHangs: number
  checkDenies: number
  checkAffirms: number
  resetHangs: number
  resetFails: number
  closeHangs: number
  /** Of what hangs, and of what takes its time, the share that no interrupt ends. */
  stubborn: number
  /** Of the connections that die, the share that does not say so. */
  silent: number
}

/** Nothing is wrong. */
export const noFaults = (): Faults => ({
  refuses: undefined,
  room: Infinity,
  connectLatency: 2,
  workLatency: 1,
  closeLatency: 1,
  connectFails: 0,
  connectHangs: 0,
  drops: 0,
  checkHangs: 0,
  checkDenies: 0,
  checkAffirms: 0,
  resetHangs: 0,
  resetFails: 0,
  closeHangs: 0,
  stubborn: 0,
  silent: 0
})

/** Which of a connector's functions there are: pools must do without those that are not. */
export interface ConnectorTraits {
  readonly checks: boolean
  readonly resets: boolean
  readonly inspects: boolean
  readonly watches: boolean
  readonly classifies: boolean
}
