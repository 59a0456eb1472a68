// A server that is gone without a word: pings find it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2 } from "node:http2";
import { connect as dial, createServer } from "node:net";
import { test } from "node:test";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { connect } from "../dist/node.js";
import { ExtractionService } from "../dist/proto.js";

test("a server that is gone without a word is found", async () => {
  const routes = (router) =>
    router.service(ExtractionService, {
      async *extract(_, { signal }) {
        yield { sequence: 1n, event: { case: "accepted", value: { requestId: "r" } } };
        await once(signal, "abort");
      },
    });
  const server = createHttp2(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  await once(server, "listening");
  // Between the two: from some time on nothing passes, as with a machine that lost its power.
  let silent = false;
  const sockets = [];
  const wire = createServer((near) => {
    const far = dial(server.address().port, "127.0.0.1");
    sockets.push(near, far);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on("data", (data) => silent || to.write(data));
      from.on("error", () => {});
    }
  }).listen(0, "127.0.0.1");
  await once(wire, "listening");
  const client = connect(`http://127.0.0.1:${wire.address().port}`, { attempts: 1, pingIntervalMs: 300, pingTimeoutMs: 300 });
  const begin = Date.now();
  await assert.rejects(async () => {
    for await (const _ of client.stream({ files: [new Uint8Array(1)], prompt: "?" }, { timeoutMs: 60_000 })) silent = true;
  }, (failure) => {
    assert.equal(failure.code, "UNAVAILABLE", failure.message);
    return true;
  });
  assert.ok(Date.now() - begin < 20_000);
  sockets.forEach((socket) => socket.destroy());
  wire.close();
  server.close();
});
