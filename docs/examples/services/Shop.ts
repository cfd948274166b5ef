/**
 * A shop on SurrealDB. Three pools share one budget of connections: who reads signs in as a record user who may only read, who sells as
 * one who may sell, and only the administrator's connections may define anything. The types say so to the compiler, and the
 * permissions of the tables say it again to everybody else.
 */
import { Effect, Redacted, Schedule, Schema } from "effect"
import { TypedPools } from "effect-pool"
import * as SurrealDb from "effect-pool/SurrealDb"
import { RecordId } from "surrealdb"

/** Whoever only reads has no use for transactions. */
export type Reader = Pick<SurrealDb.Connection, "query">

export const Db = TypedPools.make("shop/Db", {
  read: TypedPools.of<Reader>(),
  sell: TypedPools.of<SurrealDb.Connection>(),
  admin: TypedPools.of<SurrealDb.Connection>()
})

export class UnknownProduct extends Schema.TaggedError<UnknownProduct>()("UnknownProduct", {
  product: Schema.String
}) {}

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  product: Schema.String,
  left: Schema.Int
}) {}

/** What is left of a product, and how much of it was sold. */
export class Stock extends Schema.Class<Stock>("shop/Stock")({ left: Schema.Int, sold: Schema.Int }) {}

/** The passwords of the two accounts. */
export interface Secrets {
  readonly reader: Redacted.Redacted
  readonly seller: Redacted.Redacted
}

/** Makes the tables, their permissions and the accounts. It may be run at every start. */
export const install = Effect.fn("install")(({ reader, seller }: Secrets) =>
  Db.admin.use((connection) =>
    connection.query(
      `
      DEFINE TABLE OVERWRITE account SCHEMAFULL PERMISSIONS FOR select WHERE id = $auth.id;
      DEFINE FIELD OVERWRITE role ON account TYPE string;
      DEFINE FIELD OVERWRITE secret ON account TYPE string PERMISSIONS NONE;
      DEFINE ACCESS OVERWRITE account ON DATABASE TYPE RECORD
        SIGNIN (SELECT * FROM type::record('account', $name) WHERE crypto::argon2::compare(secret, $secret))
        DURATION FOR TOKEN 1h;

      DEFINE TABLE OVERWRITE product SCHEMAFULL
        PERMISSIONS FOR select FULL, FOR update WHERE $auth.role = 'seller';
      DEFINE FIELD OVERWRITE left ON product TYPE int;
      DEFINE TABLE OVERWRITE sale SCHEMAFULL
        PERMISSIONS FOR select FULL, FOR create WHERE $auth.role = 'seller';
      DEFINE FIELD OVERWRITE product ON sale TYPE record<product>;
      DEFINE FIELD OVERWRITE count ON sale TYPE int;

      UPSERT account:reader SET role = 'reader', secret = crypto::argon2::generate($reader);
      UPSERT account:seller SET role = 'seller', secret = crypto::argon2::generate($seller)
      `,
      { reader: Redacted.value(reader), seller: Redacted.value(seller) }
    )
  )
)

const idOf = (product: string): RecordId => new RecordId("product", product)

/** Takes delivery of some products: all, or none. */
export const stock = Effect.fn("stock")((delivery: Readonly<Record<string, number>>) =>
  Db.admin.use((connection) =>
    connection.transaction((transaction) =>
      Effect.forEach(
        Object.entries(delivery),
        ([product, count]) => transaction.query("UPSERT $id SET left += $count", { id: idOf(product), count }),
        { discard: true }
      )
    )
  )
)

/** Two who sell the same product at once: one of the transactions fails as a whole, and is tried again. */
const whileConflicting = {
  while: SurrealDb.isConflict,
  schedule: Schedule.jittered(Schedule.exponential("2 millis")),
  times: 20
} as const

/**
 * Takes from the stock and writes the sale down: both, or neither. In one text, since the permissions of the tables ask for `$auth`,
 * which the server does not know in a transaction of several requests.
 */
const sale = `
BEGIN;
LET $left = (SELECT VALUE left FROM ONLY $id);
IF $left >= $count {
  UPDATE $id SET left -= $count;
  CREATE sale SET product = $id, count = $count
};
$left;
COMMIT
`

/** Gives what is left. */
export const sell = Effect.fn("sell")(function* (product: string, count: number) {
  const bindings = { id: idOf(product), count }
  const [, , , left] = yield* Db.sell
    .use((connection) => connection.query<[null, null, unknown, number | undefined, null]>(sale, bindings))
    .pipe(Effect.retry(whileConflicting))
  if (left === undefined) return yield* new UnknownProduct({ product })
  if (left < count) return yield* new OutOfStock({ product, left })
  return left - count
})

/** What is left of a product, and how much was sold. */
export const look = Effect.fn("look")((product: string) =>
  Db.read.use((connection) =>
    Effect.map(
      connection.query<[number, number]>(
        "SELECT VALUE left FROM ONLY $id; RETURN math::sum(SELECT VALUE count FROM sale WHERE product = $id)",
        { id: idOf(product) }
      ),
      ([left, sold]) => new Stock({ left, sold })
    )
  )
)

const place = { namespace: "shop", database: "shop" } as const

const account = (name: string, secret: Redacted.Redacted): SurrealDb.SessionOptions => ({
  ...place,
  authentication: { access: "account", variables: { name, secret } }
})

/** Neither opens a connection before `install` has made its account. */
const onDemand = { minConnections: 0, startup: "background" } as const

const budget = 12

/** On a server, with `administrator` as its root. */
export const layer = (options: {
  readonly url: string
  readonly administrator: SurrealDb.Credentials
  readonly secrets: Secrets
}) => {
  const { administrator, secrets, url } = options
  return Db.layer({
    budget,
    read: { connector: SurrealDb.connector({ url, ...account("reader", secrets.reader) }), config: onDemand },
    sell: { connector: SurrealDb.connector({ url, ...account("seller", secrets.seller) }), config: onDemand, floor: 4 },
    admin: { connector: SurrealDb.connector({ url, ...place, authentication: administrator }) }
  })
}

/** In this process, for as long as the engine is open: all three are sessions in it. */
export const layerOn = (engine: SurrealDb.Engine, secrets: Secrets) =>
  Db.layer({
    budget,
    read: { connector: SurrealDb.connectorOn(engine, account("reader", secrets.reader)), config: onDemand },
    sell: { connector: SurrealDb.connectorOn(engine, account("seller", secrets.seller)), config: onDemand, floor: 4 },
    admin: { connector: SurrealDb.connectorOn(engine, place) }
  })
