/**
 * A TCP proxy with the faults of a network: silence, connections that never come back, resets. Counts who comes.
 *
 * What is sent while the network is cut is kept, as TCP keeps it: it arrives after the cut, unless the connection is lost
 * for good. There is no backpressure, which a few short statements do not need.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"

/** What happens to those who connect while the network is cut: nobody answers, or they are sent away. */
export type Newcomers = "mute" | "reset"

export interface Attempt {
  /** On the clock of `performance.now()`. */
  readonly at: number
  /** The first bytes from the client; `undefined` until there are any. */
  readonly opening: Buffer | undefined
}

export interface TcpProxy {
  readonly port: number
  /** Every attempt to connect, those that failed included, the earliest first. */
  readonly attempts: ReadonlyArray<Attempt>
  /** The ports by which the server knows those connections that their client has not ended. */
  readonly portsOnServer: Effect.Effect<ReadonlySet<number>>
  /** From now on nothing arrives, in either direction, and nobody is told: neither data nor the end of a connection. */
  readonly cut: (newcomers: Newcomers) => Effect.Effect<void>
  /** Those who connect from now on are not answered; all who are there go on. */
  readonly muteNewcomers: Effect.Effect<void>
  /** Nobody listens any more, and all who are there go on. */
  readonly refuse: Effect.Effect<void>
  /** Those who connect from now on are served; all who were cut off stay so until the cut is over. */
  readonly serveNewcomers: Effect.Effect<void>
  /** The cut is over, and everything that was sent meanwhile arrives. */
  readonly heal: Effect.Effect<void>
  /** The cut is over for those who connect from now on; all who were there stay in it for ever. */
  readonly healForNewcomers: Effect.Effect<void>
  /** From now on everything takes so many milliseconds longer, each way; what is on its way stays in its order. */
  readonly slow: (millis: number) => Effect.Effect<void>
  /** Ends every connection with a reset in both directions. */
  readonly reset: Effect.Effect<void>
}

class Link {
  readonly attempt: { at: number; opening: Buffer | undefined } = { at: performance.now(), opening: undefined }
  hasClientLeft = false
  private readonly client: net.Socket
  private server: net.Socket | undefined = undefined
  private state: "open" | "cut" | "lost" = "open"
  /** What happened during the cut, in its order. */
  private kept: Array<() => void> = []
  private delay = 0
  /** When the last of what is on its way arrives. */
  private lastArrival = 0

  constructor(client: net.Socket, serverPort: number, isCut: boolean, delay: number) {
    this.client = client
    this.delay = delay
    if (isCut) this.cut()
    client.once("data", (chunk) => {
      this.attempt.opening = chunk
    })
    client.once("end", () => this.clientLeft()).once("close", () => this.clientLeft())
    this.pass(() => this.connect(serverPort))
    this.forward(client, () => this.server)
  }

  get portOnServer(): number | undefined {
    return this.server?.localPort
  }

  cut(): void {
    if (this.state === "open") this.state = "cut"
  }

  heal(): void {
    if (this.state !== "cut") return
    this.state = "open"
    const { kept } = this
    this.kept = []
    for (const step of kept) step()
  }

  lose(): void {
    if (this.state !== "cut") return
    this.state = "lost"
    this.kept = []
  }

  reset(): void {
    this.state = "lost"
    this.kept = []
    this.client.resetAndDestroy()
    this.server?.resetAndDestroy()
  }

  destroy(): void {
    this.client.destroy()
    this.server?.destroy()
  }

  private clientLeft(): void {
    this.hasClientLeft = true
  }

  private connect(port: number): void {
    const server = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true })
    this.server = server
    this.forward(server, () => this.client)
  }

  private forward(from: net.Socket, to: () => net.Socket | undefined): void {
    from.on("data", (chunk) => this.pass(() => to()?.write(chunk)))
    from.on("end", () => this.pass(() => to()?.end()))
    from.on("error", () => this.pass(() => to()?.resetAndDestroy()))
    from.on("close", () => this.pass(() => to()?.destroy()))
  }

  slow(millis: number): void {
    this.delay = millis
  }

  private pass(step: () => void): void {
    const now = performance.now()
    this.lastArrival = Math.max(this.lastArrival, now + this.delay)
    if (this.lastArrival <= now) this.arrive(step)
    else setTimeout(() => this.arrive(step), this.lastArrival - now)
  }

  private arrive(step: () => void): void {
    if (this.state === "open") step()
    else if (this.state === "cut") this.kept.push(step)
  }
}

/** Makes a proxy before a port of this machine. It ends, with every connection through it, with the scope. */
export const make = Effect.fnUntraced(function* (serverPort: number): Effect.fn.Return<TcpProxy, never, Scope.Scope> {
  const links: Array<Link> = []
  let cutFor: Newcomers | undefined = undefined
  let delay = 0

  const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const link = new Link(client, serverPort, cutFor !== undefined, delay)
    links.push(link)
    if (cutFor === "reset") link.reset()
  })
  const listening = Effect.callback<number>((resume) => {
    listener.listen(0, "127.0.0.1", () => resume(Effect.succeed((listener.address() as net.AddressInfo).port)))
  })
  const end = Effect.callback<void>((resume) => {
    listener.close(() => resume(Effect.void))
    for (const link of links) link.destroy()
  })
  const toEach = (change: (link: Link) => void): Effect.Effect<void> => Effect.sync(() => links.forEach(change))
  const endCut = Effect.sync(() => {
    cutFor = undefined
  })

  return {
    port: yield* Effect.acquireRelease(listening, () => end),
    get attempts() {
      return links.map(({ attempt }) => attempt)
    },
    portsOnServer: Effect.sync(
      () => new Set(links.flatMap((link) => (link.hasClientLeft ? [] : (link.portOnServer ?? []))))
    ),
    cut: (newcomers) =>
      Effect.andThen(
        Effect.sync(() => {
          cutFor = newcomers
        }),
        toEach((link) => link.cut())
      ),
    muteNewcomers: Effect.sync(() => {
      cutFor = "mute"
    }),
    refuse: Effect.sync(() => {
      listener.close()
    }),
    serveNewcomers: endCut,
    heal: Effect.andThen(
      endCut,
      toEach((link) => link.heal())
    ),
    healForNewcomers: Effect.andThen(
      endCut,
      toEach((link) => link.lose())
    ),
    slow: (millis) =>
      Effect.andThen(
        Effect.sync(() => {
          delay = millis
        }),
        toEach((link) => link.slow(millis))
      ),
    reset: toEach((link) => link.reset())
  }
})
