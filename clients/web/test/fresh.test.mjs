// What is committed is what the sources make.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BUNDLE, bundle } from "../scripts/build.mjs";
import { generate } from "../scripts/generate.mjs";
import { HERE, temporary } from "./server.mjs";

test("the messages are those of proto/", () => {
  const out = temporary("gen");
  generate(out);
  const files = readdirSync(join(out, "tessera/v1"));
  assert.deepEqual(files, readdirSync(join(HERE, "src/gen/tessera/v1")));
  for (const file of files) {
    const path = join("tessera/v1", file);
    const same = readFileSync(join(out, path), "utf8") === readFileSync(join(HERE, "src/gen", path), "utf8");
    assert.ok(same, `${path} differs: npm run generate`);
  }
});

test("the playground's bundle is made of its sources", async () => {
  const out = join(temporary("bundle"), "app.js");
  await bundle(out);
  assert.ok(readFileSync(out, "utf8") === readFileSync(BUNDLE, "utf8"), "app.js differs: npm run generate");
});
