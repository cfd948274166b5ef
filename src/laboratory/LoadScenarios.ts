/** What the load laboratory knows to try: each scenario is a situation that a pool gets into, with what it has to prove there. */
import type { LoadEvent, LoadPhase, LoadScenario, LoadWork, ServerTraits } from "./LoadScenario.ts"

/** Gets the most done, 2660 requests a second, with 35 at work; with 100 at work it gets 1800 done. */
const server: ServerTraits = { perSecond: 200, contention: 0.02, coherency: 0.0008, connectMillis: 100 }

const pool = {
  minConnections: 5,
  maxConnections: 100,
  acquireTimeout: "2 seconds",
  idleTimeout: "60 seconds",
  maxUses: Infinity
}

const work: LoadWork = { spread: "exponential" }

const rate = (seconds: number, perSecond: number, toPerSecond?: number): LoadPhase =>
  toPerSecond === undefined ? { seconds, perSecond } : { seconds, perSecond, toPerSecond }

const repeated = <X>(times: number, of: ReadonlyArray<X>): ReadonlyArray<X> =>
  Array.from({ length: times }, () => of).flat()

/** A scenario on the server and with the pool above, unless it says otherwise. */
const scenario = (
  name: string,
  summary: string,
  load: ReadonlyArray<LoadPhase>,
  rest: {
    readonly events?: ReadonlyArray<LoadEvent>
    readonly server?: Partial<ServerTraits>
    readonly pool?: Readonly<Record<string, unknown>>
    readonly work?: Partial<LoadWork>
    readonly measureFrom?: number
    readonly pools?: number
  } = {}
): LoadScenario => ({
  name,
  summary,
  load,
  events: rest.events ?? [],
  server: { ...server, ...rest.server },
  pool: { ...pool, ...rest.pool },
  work: { ...work, ...rest.work },
  goodWithinMillis: 1000,
  measureFrom: rest.measureFrom ?? 5,
  pools: rest.pools
})

/** The rate at which requests come at an hour of a day: least at 4, most at 16. */
const rateAtHour = (hour: number): number => 925 - 875 * Math.cos(((hour - 4) / 12) * Math.PI)

/** A day in so many seconds. */
const day = (seconds: number): ReadonlyArray<LoadPhase> =>
  Array.from({ length: 24 }, (_, hour) => rate(seconds / 24, rateAtHour(hour), rateAtHour(hour + 1)))

/** Ten to one, and back, all at once, and as a ramp. */
const changes: ReadonlyArray<LoadScenario> = [
  scenario("step", "The load rises tenfold at once, and falls back 30 s later.", [
    rate(10, 200),
    rate(30, 2000),
    rate(20, 200)
  ]),
  scenario("ramp", "The load rises evenly, from next to nothing to most of what the server can do.", [
    rate(60, 50, 2200)
  ]),
  scenario(
    "burst",
    "In every 5 s there is one second with thirty times the load.",
    repeated(20, [rate(4, 50), rate(1, 1500)])
  ),
  scenario("trough-ramp", "A busy pool is needed again after three minutes of almost nothing.", [
    rate(20, 1500),
    rate(180, 20),
    rate(1, 20, 1500),
    rate(30, 1500)
  ]),
  scenario("day-night", "A day, compressed to five minutes.", day(300))
]

/** A query takes 2 ms, a connect 150. */
const quick: Partial<ServerTraits> = { perSecond: 500, connectMillis: 150 }

const crowds: ReadonlyArray<LoadScenario> = [
  scenario("spike", "50 requests at once: to wait is quicker than to connect.", [rate(10, 20)], {
    server: quick,
    events: [{ at: 5, what: "spike", requests: 50 }]
  }),
  scenario("herd", "500 requests at once, to a pool that has just started.", [rate(5, 20)], {
    server: quick,
    pool: { minConnections: 2, acquireTimeout: "5 seconds" },
    events: [{ at: 0, what: "spike", requests: 500 }],
    measureFrom: 0
  }),
  scenario("overload", "A fifth more than the server can do at its best.", [rate(5, 200), rate(35, 3200)]),
  scenario("overload-2x", "Twice what the server can do at its best.", [rate(5, 200), rate(35, 5320)])
]

const outages: ReadonlyArray<LoadScenario> = [
  scenario("slow-server", "For 20 s the server is ten times slower.", [rate(60, 1200)], {
    events: [
      { at: 15, what: "speed", factor: 0.1 },
      { at: 35, what: "speed", factor: 1 }
    ]
  }),
  scenario("noisy-neighbour", "For 30 s 60 sessions of others are at work on the server.", [rate(75, 600)], {
    events: [
      { at: 15, what: "neighbours", sessions: 60 },
      { at: 45, what: "neighbours", sessions: 0 }
    ]
  }),
  scenario("restart", "The server is gone for 10 s, and its connections for good.", [rate(60, 1000)], {
    events: [{ at: 15, what: "down", seconds: 10 }]
  }),
  scenario(
    "black-hole",
    "For 5 s nothing is answered, and nobody is told that the connections are dead.",
    [rate(60, 1000)],
    {
      events: [{ at: 15, what: "blackHole", seconds: 5 }]
    }
  ),
  scenario(
    "slow-connects",
    "A connect takes 5 s, the load rises, and half of those who wait give up.",
    [rate(15, 100), rate(45, 2000)],
    {
      server: { connectMillis: 5000 },
      pool: { minConnections: 1, connectTimeout: "10 seconds", acquireTimeout: "5 seconds" },
      events: [{ at: 17, what: "cancels", share: 0.5, afterMillis: 300 }]
    }
  ),
  scenario("bad-login", "For the first 20 s the server does not know the password.", [rate(60, 50)], {
    events: [{ at: 0, what: "rejectsLogin", seconds: 20 }],
    measureFrom: 0
  })
]

const lives: ReadonlyArray<LoadScenario> = [
  scenario(
    "idle-kill",
    "The server ends what has rested for a minute, and its pauses are longer than that.",
    repeated(4, [rate(68, 20), rate(2, 600)]),
    { server: { idleKillSeconds: 60 }, pool: { idleTimeout: "300 seconds" } }
  ),
  scenario("rotation", "Under load, all connections are replaced, twice.", [rate(60, 800)], {
    events: [
      { at: 20, what: "recycle" },
      { at: 40, what: "recycle" }
    ]
  }),
  scenario("leak", "One in a thousand leases is never returned.", [rate(60, 200)], {
    events: [{ at: 5, what: "leaks", share: 0.001 }]
  }),
  scenario("nested", "A third of all requests borrow a second connection, of ten.", [rate(60, 50)], {
    pool: { maxConnections: 10 },
    work: { nestedShare: 0.3 }
  }),
  scenario("long-queries", "One request in a hundred takes two seconds.", [rate(60, 300)], {
    work: { longShare: 0.01, longFactor: 400 }
  }),
  scenario(
    "fleet",
    "20 pools with room for 100 connections each share a server that takes 200.",
    repeated(6, [rate(8, 90), rate(2, 140)]),
    { server: { maxConnections: 200 }, pool: { minConnections: 1 }, pools: 20 }
  )
]

export const loadScenarios: ReadonlyArray<LoadScenario> = [...changes, ...crowds, ...outages, ...lives]
