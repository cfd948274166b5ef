/** The model server keeps to the formulas that it is a model of. */
import { assert, describe, it } from "@effect/vitest"
import { EventQueue, type TimedEvent } from "../../src/laboratory/EventQueue.ts"
import type { ServerTraits } from "../../src/laboratory/LoadScenario.ts"
import { Job, ServerModel } from "../../src/laboratory/ServerModel.ts"
import { Session, type SessionOwner } from "../../src/laboratory/Session.ts"
import { throughputOf } from "../../src/laboratory/SharedProcessor.ts"

const traits: ServerTraits = { perSecond: 200, contention: 0.02, coherency: 0.0008, connectMillis: 100 }

class Laboratory implements SessionOwner {
  readonly queue = new EventQueue<TimedEvent>()
  readonly server: ServerModel
  readonly heard: Array<string> = []
  now = 0

  constructor(options: Partial<ServerTraits> = {}) {
    this.server = new ServerModel({ ...traits, ...options }, this.queue)
  }

  connect(timeout = 5000): Session {
    const session = new Session(this.server, this)
    session.connect(timeout, this.now)
    return session
  }

  /** A session that is open. */
  connected(): Session {
    const session = this.connect()
    this.run(this.now + this.server.connectMillis)
    this.heard.length = 0
    return session
  }

  begin(work: number, session: Session, then?: () => void): void {
    this.server.begin(new Work(this, then), session, work, this.now)
  }

  /** So many jobs are at work all the time; says how many a second are done. */
  measureThroughput(jobs: number, seconds: number): number {
    const sessions = Array.from({ length: jobs }, () => this.connect())
    this.run(1000)
    let done = 0
    const again = (session: Session): void => {
      this.begin(1, session, () => {
        done++
        again(session)
      })
    }
    for (const session of sessions) again(session)
    this.run(1000 + seconds * 1000)
    return done / seconds
  }

  run(until: number): void {
    for (let { first } = this.queue; first !== undefined && first.at <= until; { first } = this.queue) {
      this.queue.take()
      this.now = first.at
      first.happen(this.now)
    }
    this.now = until
  }

  note(word: string): void {
    this.heard.push(`${word} at ${Math.round(this.now)}`)
  }

  opened(): void {
    this.note("opened")
  }
  refusedConnection(_: Session, kind: string): void {
    this.note(kind)
  }
  checked(_: Session, isAlive: boolean): void {
    this.note(isAlive ? "alive" : "dead")
  }
  closed(): void {
    this.note("closed")
  }
  died(): void {
    this.note("died")
  }
}

class Work extends Job {
  private readonly laboratory: Laboratory
  private readonly after: (() => void) | undefined

  constructor(laboratory: Laboratory, then: (() => void) | undefined) {
    super()
    this.laboratory = laboratory
    this.after = then
  }

  ended(isAnswered: boolean): void {
    if (this.after === undefined) this.laboratory.note(isAnswered ? "done" : "failed")
    else this.after()
  }
}

describe("a server with jobs at work", () => {
  for (const jobs of [1, 10, 35, 100]) {
    it(`gets done what the Universal Scalability Law says of ${jobs}`, () => {
      const measured = new Laboratory().measureThroughput(jobs, 20)
      assert.closeTo(measured / throughputOf(traits, jobs), 1, 0.01)
    })
  }

  it("gets the most done at the knee, where the law has it", () => {
    const [before, knee, after] = [34, 35, 36].map((jobs) => throughputOf(traits, jobs)) as [number, number, number]
    assert.isTrue(before < knee && after < knee, `${before}, ${knee}, ${after}`)
  })

  it("shares itself out equally", () => {
    const laboratory = new Laboratory({ contention: 1, coherency: 0 })
    const session = laboratory.connected()
    laboratory.begin(1, session)
    laboratory.begin(1, session)
    laboratory.begin(2, session)
    laboratory.run(1000)
    // Three share 200 a second until two of them are done, 15 ms later; the third has 5 ms of work left then.
    assert.deepStrictEqual(laboratory.heard, ["done at 115", "done at 115", "done at 120"])
  })

  it("goes on at its new speed from where it was", () => {
    const laboratory = new Laboratory()
    laboratory.begin(20, laboratory.connected())
    laboratory.run(150)
    laboratory.server.setSpeed(0.5, 150)
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["done at 250"])
  })

  it("works for its neighbours as well", () => {
    const laboratory = new Laboratory({ contention: 1, coherency: 0 })
    const session = laboratory.connected()
    laboratory.server.setNeighbours(3, 100)
    laboratory.begin(1, session)
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["done at 120"])
  })
})

describe("a connect", () => {
  it("takes its time", () => {
    const laboratory = new Laboratory()
    laboratory.connect()
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["opened at 100"])
  })

  it("fails when it takes too long", () => {
    const laboratory = new Laboratory()
    laboratory.connect(50)
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["transient at 50"])
  })

  it("is refused where there is no room", () => {
    const laboratory = new Laboratory({ maxConnections: 1 })
    laboratory.connect()
    laboratory.connect()
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["overloaded at 1", "opened at 100"])
  })

  it("is taken where another has closed", () => {
    const laboratory = new Laboratory({ maxConnections: 1 })
    laboratory.connected().close(100)
    laboratory.run(200)
    laboratory.connect()
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["closed at 101", "opened at 300"])
  })

  it("is refused for good while logins are", () => {
    const laboratory = new Laboratory()
    laboratory.server.rejectLoginsFor(1000, 0)
    laboratory.connect()
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["permanent at 100"])
  })

  it("is refused at once while the server is down", () => {
    const laboratory = new Laboratory()
    laboratory.server.fallFor(1000, 0)
    laboratory.connect()
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["transient at 1"])
  })

  it("takes as much longer as nothing is answered", () => {
    const laboratory = new Laboratory()
    laboratory.connect()
    laboratory.run(40)
    laboratory.server.fallSilentFor(1000, 40)
    laboratory.run(2000)
    assert.deepStrictEqual(laboratory.heard, ["opened at 1100"])
  })
})

describe("a server that goes down", () => {
  it("ends its connections, and what runs on them", () => {
    const laboratory = new Laboratory()
    laboratory.begin(20, laboratory.connected())
    laboratory.run(150)
    laboratory.server.fallFor(1000, 150)
    laboratory.run(2000)
    assert.deepStrictEqual(laboratory.heard, ["died at 150", "failed at 150"])
  })

  it("leaves dead what was connected", () => {
    const laboratory = new Laboratory()
    const session = laboratory.connected()
    laboratory.server.fallFor(10, 100)
    laboratory.run(500)
    session.check(2000, 500)
    laboratory.run(1000)
    assert.deepStrictEqual(laboratory.heard, ["died at 100", "dead at 501"])
  })
})

describe("a server that falls silent", () => {
  it("says nothing to a check, until whoever asks gives up", () => {
    const laboratory = new Laboratory()
    const session = laboratory.connected()
    laboratory.server.fallSilentFor(10_000, 100)
    session.check(2000, 100)
    laboratory.run(20_000)
    assert.deepStrictEqual(laboratory.heard, ["dead at 2100"])
  })

  it("fails what runs when it is back", () => {
    const laboratory = new Laboratory()
    laboratory.begin(20, laboratory.connected())
    laboratory.run(150)
    laboratory.server.fallSilentFor(1000, 150)
    laboratory.run(2000)
    assert.deepStrictEqual(laboratory.heard, ["failed at 1150"])
  })

  it("has what runs time out before that", () => {
    const laboratory = new Laboratory()
    laboratory.begin(20, laboratory.connected())
    laboratory.run(150)
    laboratory.server.fallSilentFor(10_000, 150)
    laboratory.run(20_000)
    assert.deepStrictEqual(laboratory.heard, ["failed at 5150"])
  })
})

describe("a server that ends what rests", () => {
  it("ends a session that has done nothing for so long", () => {
    const laboratory = new Laboratory({ idleKillSeconds: 60 })
    laboratory.connect()
    laboratory.run(100_000)
    assert.deepStrictEqual(laboratory.heard, ["opened at 100", "died at 60100"])
  })

  it("counts from the last check", () => {
    const laboratory = new Laboratory({ idleKillSeconds: 60 })
    const session = laboratory.connected()
    laboratory.run(30_000)
    session.check(2000, 30_000)
    laboratory.run(100_000)
    assert.deepStrictEqual(laboratory.heard, ["alive at 30001", "died at 90001"])
  })
})
