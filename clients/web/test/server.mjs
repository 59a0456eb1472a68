// The server under test: TESSERA_ADDR (a running one) or TESSERA_BIN (a binary to start).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "../dist/index.js";
import { ServingState } from "../dist/proto.js";

export const HERE = join(dirname(fileURLToPath(import.meta.url)), "..");
export const REPOSITORY = join(HERE, "../..");
export const SAMPLES = join(REPOSITORY, "models/tessera-tiny/samples");

const START_MS = 120_000;
const STOP_MS = 30_000;

/** A new folder that is gone when the tests have ended. */
export function temporary(name) {
  const path = mkdtempSync(join(tmpdir(), `tessera-${name}-`));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Why there is no server to test; false: there is one. */
export const missing =
  process.env.TESSERA_ADDR || process.env.TESSERA_BIN
    ? false
    : "needs a server: set TESSERA_ADDR=host:port or TESSERA_BIN=path/to/tessera";

/** As `missing`, for a server that is started with flags. */
export const ownMissing = process.env.TESSERA_BIN ? false : "needs a server of its own: set TESSERA_BIN=path/to/tessera";

export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

/** A server with the model in the binary. `stop` ends it. */
export async function startServer() {
  if (process.env.TESSERA_ADDR) return { url: `http://${process.env.TESSERA_ADDR}`, stop: async () => {} };
  return startOwnServer();
}

/** Starts a server with these flags and waits until it takes requests. */
export async function startOwnServer(...flags) {
  return startServerThat(isReady, ...flags);
}

/** As `startOwnServer`, for one that says so in another way. */
export async function startServerThat(isReady, ...flags) {
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(process.env.TESSERA_BIN, ["serve", "--listen", address, ...flags], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (log += data));
  const url = `http://${address}`;
  for (const end = Date.now() + START_MS; !(await isReady(url)); ) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`the server does not start:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    if (child.exitCode === null) await once(child, "exit");
    clearTimeout(timer);
  };
  return { url, stop };
}

async function isReady(url) {
  try {
    const { state } = await connect(url, { attempts: 1 }).modelInfo({ timeoutMs: 5_000 });
    return state === ServingState.READY;
  } catch {
    return false;
  }
}

/** Waits until nothing runs or waits on the server. */
export async function untilIdle(client, limitMs = 10_000) {
  for (const end = Date.now() + limitMs; ; ) {
    const { load } = await client.modelInfo();
    if (load.runningRequests + load.queuedRequests === 0) return;
    if (Date.now() > end) throw new Error(`still busy: ${load.runningRequests} running, ${load.queuedRequests} waiting`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
