// Writes a notice for each change of a customer's points, fetching the events from Yeoul. Any number of these may run.

import { setTimeout as pause } from "node:timers/promises";
import { CloudEvent } from "cloudevents";
import pg from "pg";

const { DATABASE_URL, YEOUL_URL = "http://127.0.0.1:8089" } = process.env;
const TEXTS = {
  PointsEarned: ({ points, balance }) => `You earned ${points} points and have ${balance} now.`,
  PointsSpent: ({ points, balance }) => `You spent ${points} points and have ${balance} left.`,
};
const database = new pg.Pool({ connectionString: DATABASE_URL, max: 1 });
database.on("error", (error) => console.warn("the connection is gone:", error.message));
// One that breaks in use ends no process either: its query fails, which says it.
database.on("connect", (client) => client.on("error", () => {}));

async function ask(what, said) {
  const answer = await fetch(`${YEOUL_URL}/subscriptions/notify/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(said),
    signal: AbortSignal.timeout(30_000),
  });
  if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
  return answer;
}

// The database failed, and not what was asked of it: no connection, or PostgreSQL ends, starts or is full.
class Away extends Error {}
const isAway = (error) => !(error instanceof pg.DatabaseError) || /^(08|53|57P)/.test(error.code);

// One lease: what is in it is this worker's for so long, and of its keys nobody else has any.
async function work() {
  await database.query("SELECT 1"); // nothing is fetched that could not be handled
  const answer = await ask("pull", { limit: 10, wait_s: 20, lease_s: 5 });
  const lease = answer.headers.get("yeoul-lease");
  const failed = new Set();
  for (const one of await answer.json()) {
    // What follows a failed one of its key left the lease with it, and comes again behind it.
    if (failed.has(one.subject)) continue;
    try {
      await notify(new CloudEvent(one));
    } catch (error) {
      if (error instanceof Away) { // no event's fault: all that is left is given back, and no attempt is used up
        await ask("nack", { lease, mode: "silent" });
        throw error;
      }
      failed.add(one.subject);
      await ask("nack", { lease, ids: [one.id], reason: error.message.slice(0, 200) });
      continue;
    }
    await ask("ack", { lease, ids: [one.id] });
  }
}

async function notify(event) {
  const text = TEXTS[event.type]?.(event.data); // throws where it is no change
  try {
    await write(`${event.source}/${event.id}`, event.data?.customer, text);
  } catch (error) {
    throw isAway(error) ? new Away(error.message, { cause: error }) : error;
  }
}

async function write(what, customer, text) {
  const client = await database.connect();
  let broken;
  try {
    await client.query("BEGIN");
    const noted = await client.query("INSERT INTO handled VALUES ($1) ON CONFLICT DO NOTHING", [what]);
    if (noted.rowCount === 1 && text) {
      await client.query("INSERT INTO notice (customer, text) VALUES ($1, $2)", [customer, text]);
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch((why) => (broken = why));
    throw error;
  } finally {
    client.release(broken);
  }
}

for (;;) {
  try {
    await work();
  } catch (error) { // Yeoul or the database is away, or the lease has ended
    console.warn("asked again in a second:", error.message);
    await pause(1_000);
  }
}
