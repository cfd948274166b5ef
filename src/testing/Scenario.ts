import type * as PoolConfig from "../PoolConfig.ts"
import type { Dice } from "./Dice.ts"
import type { ConnectorTraits, Faults } from "./Faults.ts"
import type { OperationName } from "./Operations.ts"

/**
 * A kind of life that a pool may have: what happens how often, and what is wrong from the start.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scenario {
  /** What it is about, in a sentence. */
  readonly summary: string
  /** How many operations a run has. */
  readonly operations: number
  /** How often each operation happens, as against the others. */
  readonly weights: { readonly [Name in OperationName]?: number }
  /** The times that may pass between two operations, in milliseconds. */
  readonly pauses: readonly [number, ...ReadonlyArray<number>]
  /** What is wrong with the server when the pool is made. Default: nothing. */
  readonly faults?: Partial<Faults>
  /** Fields of the configuration that are not drawn at random. Default: all are. */
  readonly config?: (dice: Dice) => PoolConfig.Input
  /** Functions of the connector that are not drawn at random. Default: all are. */
  readonly traits?: Partial<ConnectorTraits>
}

const callers = {
  borrow: 30,
  borrowMany: 8,
  borrowNested: 2,
  takeLoan: 6,
  returnLoan: 16,
  discardLoan: 2,
  interrupt: 6,
  interruptMany: 1,
  invalidate: 2,
  invalidateForeign: 1,
  awaitReady: 1,
  wait: 6,
  lull: 1,
  stall: 1
} as const

const pauses = [0, 0, 0, 0, 1, 2, 5, 20, 100] as const

const operators = {
  resize: 3,
  resizeWrongly: 1,
  pause: 1.5,
  resume: 4,
  recycle: 3,
  checkIdle: 2
} as const

export const scenarios = {
  calm: {
    summary: "a server without faults, callers that come, work and go",
    operations: 100,
    weights: { ...callers, kill: 1 },
    pauses
  },
  churn: {
    summary: "connections that live short, callers that change their minds",
    operations: 110,
    weights: { ...callers, interrupt: 20, interruptMany: 4, invalidate: 8, discardLoan: 6, kill: 6, slowConnects: 2 },
    pauses,
    config: (dice) => ({ maxUses: dice.pick([1, 2, 5]), maxLifetime: dice.pick([200, 1000]), idleTimeout: 500 })
  },
  outage: {
    summary: "a server that goes down, comes back, and goes down again",
    operations: 90,
    weights: {
      ...callers,
      wait: 10,
      refuse: 5,
      restart: 5,
      repair: 6,
      failConnects: 3,
      dropConnections: 2,
      dieSilently: 1
    },
    pauses
  },
  cold: {
    summary: "a pool that starts while its server is down, and may be closed before it has a connection",
    operations: 40,
    weights: {
      ...callers,
      wait: 8,
      repair: 6,
      refuse: 4,
      hangConnects: 2,
      slowConnects: 2,
      closePool: 1,
      interruptMaking: 0.5
    },
    pauses,
    faults: { refuses: "transient" }
  },
  hangs: {
    summary: "connects, checks, resets and closes that hang, some of them uninterruptible",
    operations: 90,
    weights: {
      ...callers,
      wait: 8,
      hangConnects: 4,
      hangChecks: 4,
      hangResets: 4,
      hangCloses: 4,
      beStubborn: 4,
      slowConnects: 2,
      slowWork: 2,
      slowCloses: 2,
      kill: 3,
      repair: 5
    },
    pauses
  },
  crowded: {
    summary: "far more callers than connections, and a server with room for few",
    operations: 90,
    weights: { ...callers, borrowMany: 30, borrowNested: 8, interruptMany: 3, limitRoom: 4, repair: 3, slowWork: 2 },
    pauses,
    config: (dice) => ({
      maxConnections: dice.between(1, 2),
      minConnections: dice.below(2),
      maxWaiting: dice.pick([0, 3, 10, Infinity])
    })
  },
  liar: {
    summary: "checks that say what is not so, connections that die without a word",
    operations: 90,
    weights: {
      ...callers,
      kill: 8,
      restart: 2,
      denyChecks: 4,
      affirmChecks: 4,
      failResets: 3,
      dieSilently: 4,
      repair: 4
    },
    pauses,
    traits: { checks: true }
  },
  operated: {
    summary: "operators who resize, pause, resume, recycle, check and drain, with a server that is mostly well",
    operations: 100,
    weights: {
      ...callers,
      ...operators,
      resize: 8,
      recycle: 6,
      drain: 0.5,
      slowConnects: 2,
      slowWork: 1,
      refuse: 1,
      restart: 1,
      hangChecks: 1,
      repair: 5
    },
    pauses
  },
  storm: {
    summary: "everything at once",
    operations: 120,
    weights: {
      ...callers,
      ...operators,
      restart: 2,
      kill: 3,
      repair: 8,
      refuse: 2,
      limitRoom: 1,
      slowConnects: 1,
      slowWork: 1,
      slowCloses: 1,
      failConnects: 1,
      hangConnects: 1,
      dropConnections: 1,
      hangChecks: 1,
      denyChecks: 1,
      affirmChecks: 1,
      hangResets: 1,
      failResets: 1,
      hangCloses: 1,
      beStubborn: 1,
      dieSilently: 1,
      closePool: 0.3
    },
    pauses
  },
  farewell: {
    summary: "a pool that is closed in the middle of everything",
    operations: 60,
    weights: {
      ...callers,
      closePool: 4,
      hangCloses: 2,
      slowCloses: 2,
      beStubborn: 1,
      hangConnects: 2,
      slowConnects: 2,
      kill: 2
    },
    pauses
  }
} as const satisfies Readonly<Record<string, Scenario>>

/**
 * The name of one of the scenarios.
 *
 * @category models
 * @since 0.1.0
 */
export type ScenarioName = keyof typeof scenarios
