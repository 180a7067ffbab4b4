// Loyalty points beside a till: publishes purchases over HTTP, is told of them by push, and keeps points in a PostgreSQL,
// with an event for each change in the same transaction.

import { CloudEvent, HTTP } from "cloudevents";
import express from "express";
import pg from "pg";
import { Webhook } from "standardwebhooks";

const WON_PER_POINT = 100;
const { POINTS_SECRET, DATABASE_URL, PORT = "9000", YEOUL_URL = "http://127.0.0.1:8089" } = process.env;
const webhook = new Webhook(POINTS_SECRET);
const database = new pg.Pool({ connectionString: DATABASE_URL });
// A connection that breaks is no reason to end, whether nobody uses it or somebody does, whose query fails.
database.on("error", (error) => console.warn("a connection is gone:", error.message));
database.on("connect", (client) => client.on("error", () => {}));

const app = express();
const isName = (text) => typeof text === "string" && /^\P{Cc}{1,100}$/u.test(text);
const isAmount = (number) => Number.isInteger(number) && number >= 1 && number <= 1_000_000_000;

// The client's id is the event's: whoever asks again because no answer came publishes nothing twice.
app.put("/purchases/:id", express.json(), async (request, response) => {
  const { customer, won } = request.body ?? {};
  if (!isName(request.params.id) || !isName(customer) || !isAmount(won)) {
    return response.status(422).json({ detail: "a purchase has `customer` and `won`" });
  }
  const event = new CloudEvent({
    id: request.params.id, source: "/till", type: "Purchased", subject: customer,
    datacontenttype: "application/json", data: { customer, won },
  });
  // Structured: in headers this library writes what is not ASCII as it is, which HTTP refuses.
  const { headers, body } = HTTP.structured(event);
  try {
    const answer = await fetch(`${YEOUL_URL}/events/purchase`, { method: "POST", headers, body });
    if (answer.ok) return response.sendStatus(202);
    response.set("Retry-After", answer.headers.get("Retry-After") ?? "1");
    response.status(answer.status).json({ detail: await answer.text() });
  } catch {
    response.set("Retry-After", "1").status(503).json({ detail: "the purchase is not published: ask again" });
  }
});

// 2xx acknowledges; whatever else this answers, the event comes again. The body is read as it came, for it is signed so;
// an event has 1 MiB at most.
app.post("/events", express.text({ type: () => true, limit: "1mb" }), async (request, response) => {
  const body = request.body ?? "";
  try {
    webhook.verify(body, request.headers, { jsonParse: false });
  } catch (error) {
    return response.status(401).json({ detail: error.message });
  }
  const event = HTTP.toEvent({ headers: request.headers, body });
  if (event.type === "Purchased") { // publishers add kinds: others are none of our business
    const { customer, won } = event.data;
    // Of the attributes only the id is signed, as the webhook's.
    await earn(request.get("webhook-id"), customer, Math.floor(won / WON_PER_POINT));
  }
  response.sendStatus(204);
});

const earn = (event, customer, points) => transaction(async (client) => {
  if (!(await isNew(client, event))) return;
  const { rows } = await client.query(
    `INSERT INTO account VALUES ($1, $2) ON CONFLICT (customer)
     DO UPDATE SET points = account.points + excluded.points RETURNING points`,
    [customer, points],
  );
  await publish(client, "PointsEarned", customer, points, Number(rows[0].points));
});

class TooFew extends Error {}

app.put("/redemptions/:id", express.json(), async (request, response) => {
  const { customer, points } = request.body ?? {};
  if (!isName(request.params.id) || !isName(customer) || !isAmount(points)) {
    return response.status(422).json({ detail: "a redemption has `customer` and `points`" });
  }
  try {
    await redeem(request.params.id, customer, points);
    response.sendStatus(204);
  } catch (error) {
    if (!(error instanceof TooFew)) throw error;
    response.status(409).json({ detail: "there are not so many points" });
  }
});

const redeem = (id, customer, points) => transaction(async (client) => {
  if (!(await isNew(client, `redemption/${id}`))) return;
  const { rows } = await client.query(
    "UPDATE account SET points = points - $1 WHERE customer = $2 AND points >= $1 RETURNING points",
    [points, customer],
  );
  if (rows.length === 0) throw new TooFew();
  await publish(client, "PointsSpent", customer, points, Number(rows[0].points));
});

// Commits, or rolls back if anything is thrown.
async function transaction(work) {
  const client = await database.connect();
  let broken;
  try {
    await client.query("BEGIN");
    await work(client);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch((why) => (broken = why));
    throw error;
  } finally {
    client.release(broken);
  }
}

// Notes it, in the transaction of its effect.
async function isNew(client, what) {
  const noted = await client.query("INSERT INTO handled VALUES ($1) ON CONFLICT DO NOTHING", [what]);
  return noted.rowCount === 1;
}

// An event by SQL, last in its transaction: until that is over nobody else publishes in its partition.
const publish = (client, type, customer, points, balance) => client.query(
  "INSERT INTO yeoul_outbox (topic, key, type, data) VALUES ('points', $1, $2, $3)",
  [customer, type, JSON.stringify({ customer, points, balance })],
);

app.get("/customers/:customer", async (request, response) => {
  const { customer } = request.params;
  const account = await database.query("SELECT points FROM account WHERE customer = $1", [customer]);
  const notices = await database.query("SELECT text FROM notice WHERE customer = $1 ORDER BY number", [customer]);
  const points = Number(account.rows[0]?.points ?? 0);
  response.json({ customer, points, notices: notices.rows.map(({ text }) => text) });
});

app.listen(Number(PORT), "127.0.0.1");
