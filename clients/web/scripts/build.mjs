// Builds the package into dist/. `--playground FILE` bundles the playground into FILE instead.
import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = join(dirname(fileURLToPath(import.meta.url)), "..");
export const BUNDLE = join(HERE, "../../src/service/playground/app.js");

/** Bundles the playground. The result depends on the sources and on package-lock.json alone. */
export async function bundle(outfile) {
  const esbuild = await import("esbuild");
  await esbuild.build({
    absWorkingDir: HERE,
    entryPoints: ["playground/main.ts"],
    bundle: true,
    minify: true,
    // A change in one place changes few lines.
    lineLimit: 160,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    banner: { js: "// Generated from clients/web/playground by `npm run generate`: do not edit." },
    outfile,
  });
}

/** Compiles the package. */
export function build() {
  rmSync(join(HERE, "dist"), { recursive: true, force: true });
  execFileSync(join(HERE, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: HERE, stdio: "inherit" });
  copyFileSync(join(HERE, "../../LICENSE"), join(HERE, "LICENSE"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build();
