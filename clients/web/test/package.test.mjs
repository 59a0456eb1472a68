// The package as a user gets it: packed, installed where nothing else is, and type-checked there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HERE, temporary } from "./server.mjs";

const PROGRAM = `
import { connect, TesseraError } from "@tessera-server/client";
import { connect as connectNode } from "@tessera-server/client/node";
import { DocumentType } from "@tessera-server/client/proto";
for (const client of [connect("http://127.0.0.1:1", { attempts: 1 }), connectNode("http://127.0.0.1:1", { attempts: 1 })]) {
  try {
    const { document } = await client.extract({ files: [new Uint8Array(1)], documentType: DocumentType.RECEIPT });
    console.log(document?.["A"]);
  } catch (error) {
    console.log(error instanceof TesseraError && typeof error.code);
  }
}
`;

test("the package works where nothing else is", (context) => {
  const home = temporary("pack");
  const npm = (cwd, ...args) => execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const [{ filename, files }] = JSON.parse(npm(HERE, "pack", "--ignore-scripts", "--json", "--pack-destination", home));
  const names = files.map((file) => file.path);
  assert.ok(names.includes("dist/index.d.ts") && names.includes("LICENSE"), names.join());
  assert.ok(!names.some((name) => /^(src|test|playground|scripts)\//.test(name)), names.join());
  writeFileSync(join(home, "package.json"), '{"type": "module"}');
  writeFileSync(join(home, "program.mts"), PROGRAM);
  try {
    npm(home, "install", "--no-audit", "--no-fund", "--prefer-offline", join(home, filename), "@connectrpc/connect-node", "@types/node@20");
  } catch (error) {
    if (/ENOTFOUND|ECONNREFUSED|ENOTCACHED|EAI_AGAIN/.test(String(error.stderr))) {
      return context.skip("no package registry is reached");
    }
    throw error;
  }
  const tsc = join(HERE, "node_modules/.bin/tsc");
  const flags = ["--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom", "--types", "node"];
  execFileSync(tsc, [...flags, "program.mts"], { cwd: home, stdio: "inherit" });
  assert.equal(execFileSync("node", ["program.mjs"], { cwd: home, encoding: "utf8" }), "string\nstring\n");
});
