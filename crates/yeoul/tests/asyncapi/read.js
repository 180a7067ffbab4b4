// Reads an AsyncAPI document from standard input as their own tools do, and prints what the document is to them: JSON with
// what they find wrong, the operations, and of each message the payload as it is once every reference is followed.

const { Parser } = require("@asyncapi/parser");
const { readFileSync } = require("node:fs");

// That there is a newer version of AsyncAPI is no mistake of a document.
const PASSED = "asyncapi-latest-version";

async function read() {
  const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
  const found = diagnostics.filter((it) => it.code !== PASSED);
  const wrong = found.map((it) => `${it.path.join("/")}: ${it.message}`);
  const operations = (document?.operations().all() ?? []).map((it) => ({
    id: it.id(),
    action: it.action(),
    channels: it.channels().all().map((channel) => channel.address()),
    messages: it.messages().all().map((message) => message.name()),
  }));
  const messages = (document?.allMessages().all() ?? []).map((it) => [it.id(), it.payload()?.json() ?? null]);
  console.log(JSON.stringify({ wrong, operations, payloads: Object.fromEntries(messages) }, uncircled()));
}

// The parser marks what it has read with members of its own.
function uncircled() {
  return (name, value) => (name.startsWith("x-parser-") ? undefined : value);
}

read();
