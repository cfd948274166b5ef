/**
 * A SurrealDB server at `ws://`, since no package brings the real one: the RPC protocol over WebSockets, answered by the engine of
 * `@surrealdb/node`. A process of its own, started by SurrealServer.ts, so that it can be killed and frozen.
 *
 * As on the real server, nobody may do anything before signing in, and what a client leaves goes with its socket: sessions,
 * transactions, live queries.
 */
import { NodeEngine } from "@surrealdb/node"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import { Surreal, Uuid } from "surrealdb"
import { WebSocketServer } from "ws"

const { port, data, password, tls, maxSockets, idleMillis, isMute } = JSON.parse(process.argv[2])

// Nobody is left to end this process.
process.on("disconnect", () => process.exit())

let engine
let codec
const owner = new Surreal({
  engines: {
    [data.split(":")[0]]: (context) => {
      codec = context.codecs.cbor
      engine = new NodeEngine(context)
      return engine
    }
  }
})
await owner.connect(data, { namespace: "app", database: "app" })
// Hashed once for all: that is what takes long.
const [hashed] = await owner.query("RETURN crypto::argon2::generate($password)", { password })
const hash = String(hashed)
await owner.query(`
  DEFINE USER OVERWRITE root ON ROOT PASSHASH '${hash}' ROLES OWNER;
  DEFINE USER OVERWRITE editor ON DATABASE PASSHASH '${hash}' ROLES EDITOR DURATION FOR TOKEN 1h;
  DEFINE USER OVERWRITE viewer ON DATABASE PASSHASH '${hash}' ROLES VIEWER;
  DEFINE USER OVERWRITE fleeting ON ROOT PASSHASH '${hash}' ROLES OWNER DURATION FOR TOKEN 2s;
  DEFINE USER OVERWRITE brief ON ROOT PASSHASH '${hash}' ROLES OWNER DURATION FOR TOKEN 1h, FOR SESSION 1s;
`)

const anonymous = {
  code: -32002,
  kind: "NotAllowed",
  message: "IAM error: Not enough permissions to perform this action"
}
const withoutIdentity = new Set([
  "ping",
  "version",
  "use",
  "signin",
  "signup",
  "authenticate",
  "attach",
  "detach",
  "invalidate"
])
const identifying = new Set(["signin", "signup", "authenticate"])

/** One client's socket, and everything that goes with it. */
class Client {
  /** Whether each session has signed in, by its id. */
  sessions = new Map()
  transactions = new Map()
  liveQueries = new Map()
  base = Uuid.v4()

  constructor(socket, port) {
    this.socket = socket
    this.port = port
    this.ready = this.attach(this.base)
    socket.on("message", (message) => this.answer(new Uint8Array(message)))
    socket.on("close", () => this.leave())
    socket.on("error", () => socket.terminate())
  }

  async attach(session) {
    this.sessions.set(String(session), { id: session, hasSignedIn: false })
    await engine.send({ method: "attach", session })
  }

  async answer(message) {
    const { id, ...request } = codec.decode(message)
    if (isMute) return
    await this.ready
    let answer
    try {
      answer = { id, result: await this.perform({ ...request, session: request.session ?? this.base }) }
    } catch (error) {
      const { code, details, kind, message: text } = error
      answer = { id, error: { code: code || -32000, message: text, kind, details } }
    }
    this.send(answer)
  }

  async perform(request) {
    const { method, params, session } = request
    if (method === "ping") return null
    if (method === "attach") return this.attach(session)
    const known = this.sessions.get(String(session))
    if (known !== undefined && !known.hasSignedIn && !withoutIdentity.has(method)) throw anonymous
    const result = await engine.send(request)
    if (identifying.has(method)) known.hasSignedIn = true
    if (method === "invalidate" || method === "reset") known.hasSignedIn = false
    if (method === "detach") this.sessions.delete(String(session))
    if (method === "begin") this.transactions.set(String(result), result)
    if (method === "commit" || method === "cancel") this.transactions.delete(String(params[0]))
    if (method === "query") for (const { result: id, type } of result) if (type === "live") void this.forward(id)
    return result
  }

  async forward(id) {
    this.liveQueries.set(String(id), id)
    for await (const { action, recordId, value } of engine.liveQuery(id)) {
      if (action === "KILLED") this.liveQueries.delete(String(id))
      this.send({ result: { id, action, record: recordId, result: value } })
    }
  }

  send(answer) {
    if (this.socket.readyState === 1) this.socket.send(codec.encode(answer))
  }

  async leave() {
    clients.delete(this)
    await this.ready
    const work = [
      ...[...this.transactions.values()].map((id) => engine.cancel(id)),
      ...[...this.liveQueries.values()].map((id) => owner.query("KILL $id", { id }).collect()),
      ...[...this.sessions.values()].map(({ id }) => engine.send({ method: "detach", session: id }))
    ]
    await Promise.allSettled(work)
  }
}

const clients = new Set()
const listener = tls
  ? https.createServer({ cert: fs.readFileSync(tls.cert), key: fs.readFileSync(tls.key) })
  : http.createServer()
const server = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) => (offered.has("cbor") ? "cbor" : false)
})

listener.on("upgrade", (request, socket, head) => {
  // Of somebody who has gone before the answer: unheard, it would end the server.
  socket.on("error", () => socket.destroy())
  if (clients.size >= maxSockets) return socket.end("HTTP/1.1 503 Service Unavailable\r\n\r\n")
  server.handleUpgrade(request, socket, head, (accepted) => {
    clients.add(new Client(accepted, socket.remotePort))
    if (idleMillis !== undefined) socket.setTimeout(idleMillis, () => socket.destroy())
  })
})

const holding = (session) => [...clients].filter(({ sessions }) => sessions.has(session))

/** What the test may ask for: from outside, as an administrator would. */
const commands = {
  clients: () =>
    [...clients].map(({ liveQueries, port, sessions, transactions }) => ({
      port,
      // One is the socket's own.
      sessions: sessions.size - 1,
      transactions: transactions.size,
      liveQueries: liveQueries.size
    })),
  terminate: (session) => {
    for (const { socket } of holding(session)) socket.terminate()
  },
  terminateAll: () => {
    for (const { socket } of clients) socket.terminate()
  },
  detach: async (session) => {
    for (const client of holding(session))
      await client.perform({ method: "detach", session: client.sessions.get(session).id })
  },
  garble: () => {
    for (const { socket } of clients) socket.send(Buffer.from([0xff, 0x00, 0xff]))
  },
  sql: async (sql) => JSON.parse(JSON.stringify(await owner.query(sql)))
}

process.on("message", async ({ id, name, argument }) => {
  try {
    process.send({ id, result: (await commands[name](argument)) ?? null })
  } catch (error) {
    process.send({ id, error: error.message })
  }
})

listener.listen(port, "127.0.0.1", () => process.send({ isReady: true }))
