// The README's code, run in its order as it is written but for the server's address.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HERE, missing, SAMPLES, startServer } from "./server.mjs";

/** What the code takes for granted. */
const AROUND = `
import { readFileSync } from "node:fs";
const file = new Blob([readFileSync(process.argv[1])]);
const documents = [{ files: [file], documentType: "receipt" }, { files: [new Blob(["no image"])], documentType: "receipt" }];
const output = { append: (text) => process.stdout.write(text) };
const show = (...all) => console.log(...all);
const inputs = {};
const inputOf = (pointer) => (inputs[pointer] ??= { value: "" });
const leave = new AbortController();
`;

describe("the README", { skip: missing }, () => {
  let server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.stop());

  for (const transport of ["", "/node"]) {
    test(`its code runs by @tessera-server/client${transport}`, async () => {
      const readme = readFileSync(join(HERE, "README.md"), "utf8");
      const blocks = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code);
      assert.equal(blocks.length, 4);
      const code = `${AROUND}${blocks.join("")}\nconsole.log(document.TOTAL_AMOUNT, completed.usage.outputTokens, inputs);`
        .replace("http://localhost:50051", server.url)
        .replace('"@tessera-server/client"', `"@tessera-server/client${transport}"`);
      const page = join(SAMPLES, "receipt-01.png");
      const { error, stdout, stderr } = await new Promise((resolve) => {
        const args = ["--input-type=module", "-e", code, page];
        execFile("node", args, { cwd: HERE, timeout: 300_000 }, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
      });
      assert.equal(error, null, stderr);
      assert.match(stdout, /\/TOTAL_AMOUNT "\$5976\.93" [01]/);
      assert.match(stdout, /^\$5976\.93 \d+ \{/m);
      assert.match(stdout, /'\/TOTAL_AMOUNT': \{ value: '\$5976\.93' \}/);
      assert.match(stdout, /TOTAL_AMOUNT: '\$5976\.93'/);
      assert.match(stdout, /TesseraError: .*files\[0\]/);
    });
  }
});
