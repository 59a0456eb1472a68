// What the TypeScript client costs beside a bare Connect client, in Node, by gRPC-Web: per event and per
// request, in one run.
//
//     (cd ../web && npm ci && npm run build) && node web_overhead.mjs
//
// The server is another process, which sends events that are ready. Rounds alternate; each figure is the
// median of its rounds. CPU time is that of the client's process.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const require = createRequire(new URL("../web/package.json", import.meta.url));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { createClient } = await load("@connectrpc/connect");
const { connectNodeAdapter } = await load("@connectrpc/connect-node");
const { createGrpcWebTransport } = await load("@connectrpc/connect-web");
const { create } = await load("@bufbuild/protobuf");
const { connect } = await import("../web/dist/index.js");
const { ExtractRequestSchema, ExtractionService } = await import("../web/dist/proto.js");

const EVENTS = 2000;
const REQUESTS = 300;
const ROUNDS = 7;

if (process.argv[2] === "serve") {
  const routes = (router) =>
    router.service(ExtractionService, {
      async *extract({ generation }) {
        yield { sequence: 1n, event: { case: "accepted", value: { requestId: "r" } } };
        for (let token = 0; token < generation.maxOutputTokens; token += 1) {
          yield { sequence: BigInt(token + 2), event: { case: "tokenDelta", value: { text: " token", tokenCount: 1 } } };
        }
        yield { sequence: BigInt(generation.maxOutputTokens + 2), event: { case: "completed", value: { text: "done" } } };
      },
    });
  const server = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  await once(server, "listening");
  process.send(server.address().port);
} else {
  const child = fork(fileURLToPath(import.meta.url), ["serve"]);
  const [port] = await once(child, "message");
  const baseUrl = `http://127.0.0.1:${port}`;
  const stub = createClient(ExtractionService, createGrpcWebTransport({ baseUrl }));
  const client = connect(baseUrl);
  const request = (tokens) =>
    create(ExtractRequestSchema, {
      files: [{ content: new Uint8Array(20_000) }],
      task: { case: "prompt", value: "?" },
      generation: { maxOutputTokens: tokens },
    });
  const readers = {
    "bare stub": async (message) => {
      for await (const _ of stub.extract(message, { timeoutMs: 60_000 }));
    },
    client: async (message) => {
      for await (const _ of client.streamRequest(message, { timeoutMs: 60_000 }));
    },
  };
  await report("event", EVENTS, request(EVENTS), 1);
  await report("request", REQUESTS, request(1), REQUESTS);
  child.kill();

  async function report(unit, count, message, times) {
    const found = Object.fromEntries(Object.keys(readers).map((name) => [name, []]));
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [name, read] of Object.entries(readers)) {
        const [wall, cpu] = [performance.now(), process.cpuUsage()];
        for (let time = 0; time < times; time += 1) await read(message);
        const used = process.cpuUsage(cpu);
        // The first round warms up.
        if (round > 0) found[name].push([(performance.now() - wall) * 1e3, used.user + used.system]);
      }
    }
    for (const [name, rounds] of Object.entries(found)) {
      const [wall, cpu] = [0, 1].map((column) => rounds.map((round) => round[column] / count).sort((a, b) => a - b)[ROUNDS >> 1]);
      console.log(`${name.padEnd(10)} ${wall.toFixed(1).padStart(8)} us/${unit}, of it CPU of the client ${cpu.toFixed(1).padStart(8)} us`);
    }
  }
}
