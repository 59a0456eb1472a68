// Writes src/gen from proto/ and the playground's bundle from its sources.
//
//     npm ci && npm run generate
//
// Both are committed; test/fresh.test.mjs fails when they are out of date.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BUNDLE, bundle } from "./build.mjs";

const HERE = join(dirname(fileURLToPath(import.meta.url)), "..");
const PROTO = join(HERE, "../../proto");

/** Generates the messages into `out`. */
export function generate(out) {
  const bin = join(HERE, "node_modules/.bin");
  const template = JSON.stringify({
    version: "v2",
    plugins: [{ local: join(bin, "protoc-gen-es"), out, opt: ["target=ts", "import_extension=js"] }],
  });
  execFileSync(join(bin, "buf"), ["generate", PROTO, "--path", join(PROTO, "tessera"), "--template", template], {
    cwd: HERE,
    stdio: "inherit",
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  generate(join(HERE, "src/gen"));
  await bundle(BUNDLE);
}
