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

// One lease: what is in it is this worker's for so long, and of its keys nobody else has any.
async function work() {
  const answer = await ask("pull", { limit: 10, wait_s: 20, lease_s: 5 });
  const lease = answer.headers.get("yeoul-lease");
  const failed = new Set();
  for (const one of await answer.json()) {
    const event = new CloudEvent(one);
    // What follows a failed one of its key left the lease with it, and comes again behind it.
    if (failed.has(event.subject)) continue;
    try {
      await notify(event);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error; // no event's fault: the lease ends by itself
      failed.add(event.subject);
      await ask("nack", { lease, ids: [event.id], reason: error.message.slice(0, 200) });
      continue;
    }
    await ask("ack", { lease, ids: [event.id] });
  }
}

async function notify(event) {
  const client = await database.connect();
  let broken;
  try {
    await client.query("BEGIN");
    const what = `${event.source}/${event.id}`;
    const noted = await client.query("INSERT INTO handled VALUES ($1) ON CONFLICT DO NOTHING", [what]);
    const text = TEXTS[event.type]?.(event.data);
    if (noted.rowCount === 1 && text) {
      await client.query("INSERT INTO notice (customer, text) VALUES ($1, $2)", [event.data.customer, text]);
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
