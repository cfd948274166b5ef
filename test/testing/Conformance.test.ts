import { assert, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, Exit, Fiber, Latch, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Connector } from "../../src/index.ts"
import { Conformance } from "../../src/testing/index.ts"
import { turns } from "../support/FakeServer.ts"

class Lost extends Data.TaggedError("Lost")<{ readonly message: string }> {}

interface Socket {
  readonly dead: Deferred.Deferred<void>
  isAlive: boolean
  isDirty: boolean
  /** Asks that the server has not answered. */
  unanswered: number
}

/** What the server does, and what the kit is told of it. */
class Server {
  readonly sockets = new Set<Socket>()
  readonly speaks = Latch.makeUnsafe(true)

  open(): Socket {
    const socket = { dead: Deferred.makeUnsafe<void>(), isAlive: true, isDirty: false, unanswered: 0 }
    this.sockets.add(socket)
    return socket
  }

  close(socket: Socket): void {
    socket.isAlive = false
    this.sockets.delete(socket)
    Deferred.doneUnsafe(socket.dead, Effect.void)
  }

  /** A round trip. An interrupt leaves an answer on its way, which nobody but `reset` knows what to do with. */
  ask(socket: Socket): Effect.Effect<void, Lost> {
    return Effect.suspend(() => {
      if (!socket.isAlive || socket.unanswered > 0) return Effect.fail(new Lost({ message: "lost" }))
      socket.unanswered++
      return Effect.andThen(
        Effect.andThen(Effect.andThen(Effect.yieldNow, this.speaks.await), Effect.yieldNow),
        Effect.sync(() => {
          socket.unanswered--
        })
      )
    })
  }

  connect = Effect.suspend(() =>
    Effect.andThen(
      Effect.andThen(this.speaks.await, Effect.yieldNow),
      Effect.acquireRelease(
        Effect.sync(() => this.open()),
        (socket) => Effect.sync(() => this.close(socket))
      )
    )
  )

  get parts(): Connector.Connector.Options<Socket, Lost> {
    return {
      name: "fake",
      connect: this.connect,
      check: (socket) => this.ask(socket),
      reset: (socket) =>
        Effect.andThen(
          this.speaks.await,
          Effect.suspend(() => {
            socket.isDirty = false
            socket.unanswered = 0
            return this.ask(socket)
          })
        ),
      inspect: ({ isAlive, isDirty, unanswered }) =>
        isAlive ? (isDirty || unanswered > 0 ? "dirty" : "clean") : "broken",
      closed: ({ dead }) => Deferred.await(dead),
      classify: () => "transient",
      fatal: (error) => error instanceof Lost
    }
  }

  get options(): Conformance.Options<Socket> {
    return {
      timeout: "1 second",
      use: (socket) => Effect.andThen(this.ask(socket), this.ask(socket)),
      dirty: (socket) =>
        Effect.sync(() => {
          socket.isDirty = true
        }),
      isClean: ({ isDirty }) => Effect.succeed(!isDirty),
      kill: (socket) => Effect.sync(() => this.close(socket)),
      count: Effect.sync(() => this.sockets.size),
      hang: { freeze: this.speaks.close, thaw: this.speaks.open },
      connectErrors: [new Lost({ message: "refused" })]
    }
  }
}

/** Runs the kit on a clock that goes on whenever nothing has come of many turns. */
const driven = Effect.fnUntraced(function* <A, E>(work: Effect.Effect<A, E>) {
  const fiber = yield* Effect.forkChild(work)
  while (fiber.pollUnsafe() === undefined) {
    yield* turns(100)
    yield* TestClock.adjust("20 millis")
  }
  return yield* Fiber.join(fiber)
})

const checkWith = (
  alter: (server: Server) => Partial<Connector.Connector.Options<Socket, unknown>>,
  options: (server: Server) => Conformance.Options<Socket> = ({ options }) => options
) => {
  const server = new Server()
  const connector = Connector.make<Socket, unknown>({ ...server.parts, ...alter(server) } as never)
  return driven(Conformance.check(connector, options(server)))
}

const namesOf = (checks: ReadonlyArray<Conformance.CheckResult>) => checks.map(({ name }) => name)

const raise = (): never => {
  throw new Error("no answer")
}

describe("a connector that keeps its promises", () => {
  it.effect("passes every check", () =>
    Effect.gen(function* () {
      const report = yield* checkWith(() => ({}))
      assert.deepStrictEqual([namesOf(report.failed), namesOf(report.skipped)], [[], []], report.render)
      assert.strictEqual(report.checks.length, 27)
    })
  )

  it.effect("leaves no connection open when it has been checked", () =>
    Effect.gen(function* () {
      const server = new Server()
      yield* driven(Conformance.check(Connector.make(server.parts), server.options))
      assert.strictEqual(server.sockets.size, 0)
    })
  )

  it.effect("is given back by assert as a report", () =>
    Effect.gen(function* () {
      const server = new Server()
      const report = yield* driven(Conformance.assert(Connector.make(server.parts), server.options))
      assert.isTrue(report.isConformant)
    })
  )

  it.effect("may have nothing but a connect: what cannot be checked is skipped, and says what to give", () =>
    Effect.gen(function* () {
      const server = new Server()
      const bare = Connector.make({ name: "bare", connect: server.connect })
      const report = yield* driven(Conformance.check(bare))
      assert.deepStrictEqual([namesOf(report.failed), report.skipped.length], [[], 23], report.render)
      for (const { advice, detail } of report.skipped) {
        assert.match(detail, /^lacks `/)
        assert.match(advice, /^Give the /)
      }
    })
  )

  it.effect("may need services, which the checks run with", () =>
    Effect.gen(function* () {
      const server = new Server()
      const connect = Effect.andThen(Scope.Scope, server.connect)
      const report = yield* driven(Effect.scoped(Conformance.check(Connector.make({ name: "services", connect }))))
      assert.isTrue(report.isConformant)
    })
  )
})

const opens = "connect opens a connection, and its scope closes it"
const closesTwice = "a connection whose scope is closed twice is closed once"
const twoGiveTwo = "two connects give two connections"
const interruptedConnectEnds = "a connect that is interrupted ends"
const interruptedConnect = "a connect that is interrupted leaves nothing open"
const interruptedLate = "a connect that is interrupted at the last moment leaves nothing open"
const frozenConnect = "a connect to a silent server can be interrupted"
const deadFinalizer = "the finalizer of a dead connection ends"
const frozenFinalizer = "the finalizer ends while the server is silent"
const checkLive = "check succeeds on a live connection"
const checkDead = "check fails on a dead connection"
const frozenCheck = "a check can be interrupted while the server is silent"
const closedWaits = "closed waits while the connection lives"
const closedInterrupted = "closed can be interrupted"
const closedCompletes = "closed completes when the connection dies"
const deathIsTold = "a dead connection is told by inspect or check"
const fatalOrCheck = "an error of a dead connection is fatal, or its check fails"
const resets = "reset takes away what a borrower left"
const resetsClean = "reset leaves a clean connection usable"
const frozenReset = "a reset can be interrupted while the server is silent"
const inspectFresh = "inspect does not find fault with a fresh connection"
const inspectDirty = "inspect sees what a borrower left"
const inspectAnswers = "inspect answers in every state of a connection"
const fatalAnswers = "fatal answers of any error"
const classifyAnswers = "classify answers of every error of connect"
const interruptedUse = "a use that is interrupted leaves a connection that works, or is known not to"

interface Planted {
  readonly what: string
  readonly alter: (server: Server) => Partial<Connector.Connector.Options<Socket, unknown>>
  readonly fails: ReadonlyArray<string>
}

const planted: ReadonlyArray<Planted> = [
  {
    what: "a connect that registers its finalizer a step after it has opened",
    alter: (server) => ({
      connect: Effect.gen(function* () {
        yield* Effect.yieldNow
        const socket = yield* Effect.sync(() => server.open())
        yield* Effect.addFinalizer(() => Effect.sync(() => server.close(socket)))
        return socket
      })
    }),
    fails: [interruptedConnect, interruptedLate]
  },
  {
    what: "a connect that registers no finalizer",
    alter: (server) => ({ connect: Effect.sync(() => server.open()) }),
    fails: [opens, closesTwice, interruptedConnect, interruptedLate]
  },
  {
    what: "a connect that cannot be interrupted while the server is silent",
    alter: ({ connect }) => ({ connect: Effect.uninterruptible(connect) }),
    fails: [frozenConnect]
  },
  {
    what: "a connect that cannot be interrupted and hangs once it is interrupted",
    alter: ({ connect }) => ({
      connect: Effect.onInterrupt(Effect.andThen(Effect.yieldNow, connect), () => Effect.never)
    }),
    fails: [interruptedConnectEnds, interruptedConnect, interruptedLate, frozenConnect]
  },
  {
    what: "a connect whose cleanup dies when nothing has been opened yet",
    alter: ({ connect }) => ({
      connect: Effect.onInterrupt(Effect.andThen(Effect.yieldNow, connect), () => Effect.die("nothing to close"))
    }),
    fails: [interruptedConnectEnds, interruptedConnect, interruptedLate]
  },
  {
    what: "a finalizer that is registered twice and dies the second time",
    alter: (server) => ({
      connect: Effect.suspend(() => {
        let isClosed = false
        const close = Effect.sync(() => (isClosed ? raise() : (isClosed = true)))
        return Effect.tap(server.connect, () =>
          Effect.andThen(
            Effect.addFinalizer(() => close),
            Effect.addFinalizer(() => close)
          )
        )
      })
    }),
    fails: [opens, closesTwice, deadFinalizer, frozenFinalizer]
  },
  {
    what: "a finalizer that dies on a dead connection",
    alter: (server) => ({
      connect: Effect.acquireRelease(
        Effect.sync(() => server.open()),
        (socket) => Effect.sync(() => (socket.isAlive ? server.close(socket) : raise()))
      )
    }),
    fails: [deadFinalizer]
  },
  {
    what: "a finalizer that waits for the server to answer its goodbye",
    alter: (server) => ({
      connect: Effect.tap(server.connect, () => Effect.addFinalizer(() => server.speaks.await))
    }),
    fails: [frozenFinalizer]
  },
  {
    what: "a finalizer that hangs",
    alter: (server) => ({
      connect: Effect.tap(server.connect, () => Effect.addFinalizer(() => Effect.never))
    }),
    fails: [opens, closesTwice, interruptedConnect, interruptedLate, deadFinalizer, frozenFinalizer]
  },
  {
    what: "the same connection handed out twice",
    alter: (server) => {
      let shared: Socket | undefined = undefined
      let holders = 0
      return {
        connect: Effect.andThen(
          server.speaks.await,
          Effect.acquireRelease(
            Effect.sync(() => {
              if (holders++ === 0) shared = server.open()
              return shared!
            }),
            (socket) => Effect.sync(() => --holders === 0 && server.close(socket))
          )
        )
      }
    },
    fails: [twoGiveTwo]
  },
  {
    what: "a check that always succeeds",
    alter: () => ({ check: () => Effect.void }),
    fails: [checkDead]
  },
  {
    what: "a check that fails on a live connection",
    alter: () => ({ check: () => Effect.fail("no") }),
    fails: [
      twoGiveTwo,
      checkLive,
      "a check that is interrupted breaks nothing unseen",
      closedInterrupted,
      resets,
      resetsClean,
      interruptedUse
    ]
  },
  {
    what: "a check that cannot be interrupted while the server is silent",
    alter: (server) => ({ check: (socket) => Effect.uninterruptible(server.ask(socket)) }),
    fails: [frozenCheck]
  },
  {
    what: "a check that breaks the connection when it is interrupted, and succeeds all the same",
    alter: (server) => ({
      check: (socket) => {
        if (socket.unanswered > 0) return Effect.void
        return server.ask(socket)
      },
      inspect: () => "clean"
    }),
    fails: ["a check that is interrupted breaks nothing unseen", inspectDirty, interruptedUse]
  },
  {
    what: "a closed that completes at once",
    alter: () => ({ closed: () => Effect.void }),
    fails: [closedWaits]
  },
  {
    what: "a closed that throws",
    alter: () => ({ closed: raise }),
    fails: [closedWaits, closedCompletes]
  },
  {
    what: "a closed that never completes",
    alter: () => ({ closed: () => Effect.never }),
    fails: [closedCompletes]
  },
  {
    what: "a closed that tells only the first who asks",
    alter: () => {
      const told = new Set<Socket>()
      return {
        closed: (socket) =>
          Effect.suspend(() => {
            if (told.has(socket)) return Effect.never
            told.add(socket)
            return Deferred.await(socket.dead)
          })
      }
    },
    fails: [closedCompletes]
  },
  {
    what: "a closed that cannot be interrupted",
    alter: () => ({ closed: ({ dead }) => Effect.uninterruptible(Deferred.await(dead)) }),
    fails: [closedInterrupted]
  },
  {
    what: "a closed that closes the connection when it is interrupted",
    alter: (server) => ({
      closed: (socket) => Effect.onInterrupt(Deferred.await(socket.dead), () => Effect.sync(() => server.close(socket)))
    }),
    fails: [closedInterrupted]
  },
  {
    what: "a reset that does not reset",
    alter: () => ({ reset: () => Effect.void, inspect: undefined }),
    fails: [resets]
  },
  {
    what: "a reset that breaks the connection",
    alter: (server) => ({ reset: (socket) => Effect.sync(() => server.close(socket)) }),
    fails: [resets, resetsClean]
  },
  {
    what: "a reset that fails on a clean connection",
    alter: ({ parts }) => ({
      reset: (socket) => (socket.isDirty || socket.unanswered > 0 ? parts.reset!(socket) : Effect.fail("nothing to do"))
    }),
    fails: [resetsClean]
  },
  {
    what: "a reset that cannot be interrupted while the server is silent",
    alter: ({ parts }) => ({ reset: (socket) => Effect.uninterruptible(parts.reset!(socket)) }),
    fails: [frozenReset]
  },
  {
    what: "an inspect that always says clean",
    alter: () => ({ inspect: () => "clean" }),
    fails: [inspectDirty, interruptedUse]
  },
  {
    what: "an inspect that always says broken",
    alter: () => ({ inspect: () => "broken" }),
    fails: [inspectFresh]
  },
  {
    what: "an inspect that throws",
    alter: () => ({ inspect: raise }),
    fails: [inspectAnswers]
  },
  {
    what: "an inspect that throws on a dead connection",
    alter: ({ parts }) => ({ inspect: (socket) => (socket.isAlive ? parts.inspect!(socket) : raise()) }),
    fails: [inspectAnswers]
  },
  {
    what: "an inspect that answers nonsense",
    alter: () => ({ inspect: () => "fishy" as never }),
    fails: [inspectAnswers]
  },
  {
    what: "a death that neither inspect nor check tells",
    alter: () => ({
      inspect: ({ isDirty, unanswered }) => (isDirty || unanswered > 0 ? "dirty" : "clean"),
      check: () => Effect.void
    }),
    fails: [checkDead, deathIsTold]
  },
  {
    what: "a fatal that throws",
    alter: () => ({ fatal: raise }),
    fails: [fatalAnswers]
  },
  {
    what: "a fatal that expects errors to be objects",
    alter: () => ({ fatal: (error) => (error as Error).message === "lost" }),
    fails: [fatalAnswers]
  },
  {
    what: "a fatal that does not know the error of a dead connection, and no check",
    alter: () => ({ fatal: () => false, check: undefined }),
    fails: [fatalOrCheck]
  },
  {
    what: "a classify that throws",
    alter: () => ({ classify: raise }),
    fails: [classifyAnswers]
  },
  {
    what: "a classify that answers nonsense",
    alter: () => ({ classify: () => "fishy" as never }),
    fails: [classifyAnswers]
  }
]

describe("a connector with one fault", () => {
  for (const { alter, fails, what } of planted) {
    it.effect(`fails just the checks that are about it: ${what}`, () =>
      Effect.gen(function* () {
        const report = yield* checkWith(alter)
        assert.deepStrictEqual([...namesOf(report.failed)].sort(), [...fails].sort(), report.render)
      })
    )
  }
})

describe("options that do not fit the connector", () => {
  for (const [what, alter, fails, detail] of [
    [
      "a dirty that leaves nothing",
      { dirty: () => Effect.void },
      resets,
      "`isClean` says yes of a connection after `dirty`"
    ],
    [
      "an isClean that says no",
      { isClean: () => Effect.succeed(false) },
      resets,
      "`isClean` says no of a fresh connection"
    ],
    ["a kill that fails", { kill: () => Effect.fail("no") }, checkDead, "`kill` failed: no"],
    ["a kill that throws", { kill: raise }, checkDead, "`kill` failed: no answer"],
    ["a count that fails", { count: Effect.fail("no") }, opens, "`count` failed: no"],
    ["a count that hangs", { count: Effect.never }, opens, "`count` did not end within 1s"]
  ] as const) {
    it.effect(`are named in the report: ${what}`, () =>
      Effect.gen(function* () {
        const report = yield* checkWith(
          () => ({}),
          ({ options }) => ({ ...options, ...(alter as Partial<Conformance.Options<Socket>>) })
        )
        assert.strictEqual(report.failed.find(({ name }) => name === fails)?.detail, detail, report.render)
      })
    )
  }
})

describe("the report", () => {
  it.effect("counts first, then tells what failed with its advice, what was skipped, and what passed", () =>
    Effect.gen(function* () {
      const report = yield* checkWith(
        () => ({ fatal: raise }),
        ({ options }) => ({ ...options, hang: undefined })
      )
      const lines = String(report).split("\n")
      assert.deepStrictEqual(lines.slice(0, 5), [
        "fake: of 27 checks 1 failed, 4 were skipped, 22 passed",
        "  failed   fatal answers of any error",
        "           `fatal` of undefined threw: no answer",
        "           It is asked about anything, and must answer one of: true, false.",
        "  skipped  a connect to a silent server can be interrupted"
      ])
    })
  )

  it.effect("is the message of the error that assert fails with", () =>
    Effect.gen(function* () {
      const server = new Server()
      const connector = Connector.make({ ...server.parts, fatal: raise })
      const error = yield* Effect.flip(driven(Conformance.assert(connector, server.options)))
      assert.strictEqual(error._tag, "NotConformant")
      assert.strictEqual(error.message, error.report.render)
    })
  )
})

describe("the kit itself", () => {
  it.effect("says that a step did not end in time, and by how long it waited", () =>
    Effect.gen(function* () {
      const report = yield* checkWith(() => ({ connect: Effect.never }))
      assert.strictEqual(report.checks[0]?.detail, "connect did not end within 1s")
    })
  )

  it.effect("ends when it is interrupted, and closes what it had opened", () =>
    Effect.gen(function* () {
      const server = new Server()
      for (const moment of [1, 5, 20, 50, 120, 300, 700, 1000, 1500, 2000, 2020, 2040]) {
        const fiber = yield* Effect.forkChild(Conformance.check(Connector.make(server.parts), server.options))
        yield* turns(moment)
        const exit = yield* Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber))
        yield* turns()
        assert.isTrue(Exit.hasInterrupts(exit))
        assert.strictEqual(server.sockets.size, 0, `after ${moment} turns`)
      }
    })
  )

  it.effect("lets the server speak again when it is interrupted while the server is silent", () =>
    Effect.gen(function* () {
      const server = new Server()
      const isSilent = Latch.makeUnsafe(false)
      const freeze = Effect.andThen(server.speaks.close, isSilent.open)
      const options = { ...server.options, hang: { freeze, thaw: server.speaks.open } }
      const fiber = yield* Effect.forkChild(Conformance.check(Connector.make(server.parts), options))
      yield* isSilent.await
      yield* Fiber.interrupt(fiber)
      yield* turns()
      assert.deepStrictEqual([server.speaks.isOpen(), server.sockets.size], [true, 0])
    })
  )

  it.effect("shows errors that cannot be shown", () =>
    Effect.gen(function* () {
      const report = yield* checkWith(() => ({ connect: Effect.fail(Object.create(null)) }))
      assert.strictEqual(report.checks[0]?.detail, "connect failed: something that cannot be shown")
    })
  )
})
