// Reads one document and prints the answer while it is written. Ctrl-C cancels.
//
//     node examples/extract.mjs receipt.png --type receipt --timeout 60 --url http://localhost:50051
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { connect, TesseraError } from "@tessera-server/client/node";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    type: { type: "string", default: "receipt" },
    timeout: { type: "string", default: "300" },
    url: { type: "string", default: "http://localhost:50051" },
  },
});
const abort = new AbortController();
process.once("SIGINT", () => abort.abort());

const options = { signal: abort.signal, timeoutMs: Number(values.timeout) * 1000 };
try {
  const files = await Promise.all(positionals.map((name) => readFile(name)));
  for await (const event of connect(values.url).stream({ files, documentType: values.type }, options)) {
    if (event.case === "tokenDelta") process.stdout.write(event.value.text);
    if (event.case === "completed") console.error(`\n${event.value.usage?.outputTokens} output tokens`);
  }
} catch (error) {
  // Of a file that cannot be read the message says it all.
  console.error(error instanceof TesseraError ? `${error.code} ${error.reason}: ${error.message}` : error.message);
  process.exitCode = 1;
}
