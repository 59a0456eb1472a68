// The examples, against a real server.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HERE, missing, SAMPLES, startServer, temporary } from "./server.mjs";

describe("examples", { skip: missing }, () => {
  let server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.stop());
  const run = (...args) =>
    new Promise((resolve) => {
      execFile("node", args, { cwd: HERE, timeout: 60_000 }, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
    });

  test("extract prints the answer, and why there is none", async () => {
    const page = join(SAMPLES, "receipt-02.png");
    const whole = await run("examples/extract.mjs", page, "--url", server.url);
    assert.match(whole.stdout, /"DOCUMENT_TYPE"/, whole.stderr);
    const late = await run("examples/extract.mjs", page, "--timeout", "0.01", "--url", server.url);
    assert.equal(late.error?.code, 1);
    assert.match(late.stderr, /DEADLINE_EXCEEDED/);
  });

  test("batch reads a folder and goes on after a failure", async () => {
    const folder = temporary("batch");
    copyFileSync(join(SAMPLES, "receipt-01.png"), join(folder, "b.png"));
    writeFileSync(join(folder, "a.png"), "no image");
    const { error, stdout } = await run("examples/batch.mjs", folder, "receipt", server.url);
    assert.equal(error?.code, 1);
    const lines = Object.fromEntries(stdout.trim().split("\n").map((line) => [JSON.parse(line).file.at(-5), JSON.parse(line)]));
    assert.equal(lines.a.reason, "INVALID_FIELD");
    assert.equal(lines.b.document.TOTAL_AMOUNT, "$5976.93");
  });
});
