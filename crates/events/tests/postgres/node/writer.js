// A service in Node that publishes by SQL: its rows and its events in one transaction.
//
//     writer.js ADDRESS NAME TRANSACTIONS KEY...
//
// Every fifth transaction is rolled back. One that a deadlock ended is done again, whole; how many were is printed.

import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";

const DEADLOCK = "40P01";
const [address, name, transactions, ...keys] = process.argv.slice(2);
const client = new pg.Client({ connectionString: address });
let again = 0;

async function work(at) {
  await client.query("INSERT INTO work VALUES ($1, $2)", [name, at]);
  for (const key of keys) {
    const data = JSON.stringify({ by: name, at, key });
    await client.query(
      "INSERT INTO yeoul_outbox (topic, key, type, data) VALUES ($1, $2, $3, $4)",
      ["order", key, "OrderPlaced", data],
    );
    // Time for another writer to come from the other side.
    await pause(2);
  }
}

async function transaction(at) {
  await client.query("BEGIN");
  try {
    await work(at);
    await client.query(at % 5 === 4 ? "ROLLBACK" : "COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    if (error.code !== DEADLOCK) throw error;
    again += 1;
    await transaction(at);
  }
}

await client.connect();
for (let at = 0; at < Number(transactions); at += 1) await transaction(at);
await client.end();
console.log(again);
