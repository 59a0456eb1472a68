// Many documents: over one call in Node, by calls of their own where requests cannot be streamed. First against
// a scripted server of real gRPC, then against a real Tessera.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http2";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { connect as connectWeb, IncompleteStreamError } from "../dist/index.js";
import { connect as connectNode } from "../dist/node.js";
import { EventKind, ExtractionService, Priority } from "../dist/proto.js";
import { missing, SAMPLES, startServer, untilIdle } from "./server.mjs";

const page = { files: [new Uint8Array([1])], prompt: "What?" };
const servers = [];
after(() => servers.forEach((stop) => stop()));

/** Serves `routes` by gRPC over HTTP/2; returns its address. */
async function listen(routes) {
  const sessions = new Set();
  const server = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  server.on("session", (session) => sessions.add(session));
  // Clients keep their connections for the next call.
  servers.push(() => server.close() && sessions.forEach((session) => session.destroy()));
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

const says = (requestId, sequence, event) => ({ requestId, outcome: { case: "response", value: { sequence, event } } });
const accepted = (requestId) => says(requestId, 1n, { case: "accepted", value: { requestId } });
const success = (requestId) => [accepted(requestId), says(requestId, 2n, { case: "completed", value: { documentJson: '{"A": 1}' } })];
const failure = (requestId, code, reason, more = {}) => ({
  requestId,
  outcome: { case: "error", value: { code, reason, message: "said so", ...more } },
});
const after_ = (ms) => ({ retryAfter: { seconds: 0n, nanos: ms * 1e6 } });

/** Answers each document with what `part` makes of its request. */
async function play(part) {
  const sent = [];
  const cancelled = [];
  let ended;
  const end = new Promise((resolve) => (ended = resolve));
  const routes = (router) =>
    router.service(ExtractionService, {
      async *batchExtract(requests, context) {
        context.signal.addEventListener("abort", ended);
        for await (const { message } of requests) {
          if (message.case === "cancelRequestId") {
            cancelled.push(message.value);
            continue;
          }
          sent.push(message.value);
          yield* part(message.value, sent, context);
        }
      },
    });
  const url = await listen(routes);
  const counts = () => sent.reduce((found, { requestId }) => ({ ...found, [requestId]: (found[requestId] ?? 0) + 1 }), {});
  return { sent, cancelled, end, url, counts };
}

async function outcomes(batch) {
  const found = new Map();
  for await (const result of batch) found.set(result.index, result);
  return found;
}

test("each document has its outcome", async () => {
  const said = { fields: ["files"], violations: [{ field: "files", description: "is empty" }], metadata: { limit: "max_pages" } };
  const { url, sent } = await play(function* ({ requestId }) {
    if (requestId === "bad") yield failure(requestId, Code.InvalidArgument, "INVALID_FIELD", said);
    else if (requestId === "old") yield failure(requestId, Code.InvalidArgument, "INVALID_FIELD", { fields: ["files"] });
    else yield* success(requestId);
  });
  const given = [page, { ...page, requestId: "bad", priority: Priority.INTERACTIVE }, { files: [], documentType: "receit" }, page,
    { ...page, requestId: "old" }];
  const found = await outcomes(connectNode(url, { token: "secret" }).batch(given));
  assert.deepEqual([...found.keys()].sort(), [0, 1, 2, 3, 4]);
  assert.deepEqual([found.get(0).answer.document, found.get(0).document], [{ A: 1 }, page]);
  const { error } = found.get(1);
  assert.deepEqual([error.code, error.reason, error.message, error.violations, error.metadata, error.retryAfterMs],
    ["INVALID_ARGUMENT", "INVALID_FIELD", "said so", [{ field: "files", description: "is empty" }], { limit: "max_pages" }, undefined]);
  assert.deepEqual(found.get(4).error.violations, [{ field: "files", description: "" }]);
  assert.match(found.get(2).error.message, /unknown document type/);
  assert.deepEqual(sent.map(({ requestId }) => requestId), ["document-1", "bad", "document-4", "old"]);
  assert.deepEqual(sent.map(({ priority }) => priority), [Priority.BATCH, Priority.INTERACTIVE, Priority.BATCH, Priority.BATCH]);
  assert.deepEqual(sent[0].eventKinds, [EventKind.NONE]);
});

test("a document that no server takes is not sent: it would end the call for all", async () => {
  const { url, sent } = await play(({ requestId }) => success(requestId));
  const large = { ...page, files: [new Uint8Array(64 * 1024 * 1024)] };
  const client = connectNode(url);
  const found = await outcomes(client.batch([page, large, page]));
  assert.deepEqual([found.get(0).error, found.get(2).error], [undefined, undefined]);
  for (const error of [found.get(1).error, await client.extract(large).catch((error) => error)]) {
    assert.deepEqual([error.code, error.reason, error.metadata.limit, error.violations.map(({ field }) => field)],
      ["INVALID_ARGUMENT", "LIMIT_EXCEEDED", "max_request_bytes", ["files"]]);
  }
  assert.deepEqual(sent.map(({ requestId }) => requestId), ["document-1", "document-3"]);
});

test("no more are on their way than was said", async () => {
  let taken = 0;
  let open = [];
  const waiting = [];
  const { url } = await play(async function* ({ requestId }, sent) {
    open.push(requestId);
    if (open.length < 3 && sent.length < 12) return;
    // Room is full: whoever takes more now takes too many.
    await new Promise((resolve) => setTimeout(resolve, 50));
    waiting.push(taken - (sent.length - open.length));
    for (const name of open) yield* success(name);
    open = [];
  });
  function* documents() {
    for (; taken < 12; ) {
      taken += 1;
      yield page;
    }
  }
  assert.equal((await outcomes(connectNode(url).batch(documents(), { inFlight: 3 }))).size, 12);
  assert.equal(Math.max(...waiting), 3);
});

test("what the server has no room for is sent again", async () => {
  const server = await play(function* ({ requestId }) {
    const full = Code.ResourceExhausted;
    if (requestId === "document-1" && server.counts()[requestId] < 3) yield failure(requestId, full, "BATCH_FULL", after_(60));
    else if (requestId === "document-2") yield failure(requestId, full, "QUEUE_FULL", after_(1));
    else if (requestId === "document-3") yield failure(requestId, full, "REQUEST_TOO_LARGE_FOR_MEMORY");
    else if (requestId === "document-4") yield* [accepted(requestId), failure(requestId, Code.Unavailable, "DRAIN_TIMEOUT", after_(1))];
    else yield* success(requestId);
  });
  const found = await outcomes(connectNode(server.url).batch(Array(5).fill(page)));
  assert.deepEqual([0, 1, 2, 3, 4].map((index) => found.get(index).error?.code),
    [undefined, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", undefined]);
  // So often and no more; and never what would fail again, or what has answered.
  assert.deepEqual(server.counts(), { "document-1": 3, "document-2": 4, "document-3": 1, "document-4": 1, "document-5": 1 });
});

/** Documents of which each is given once the one before has its outcome. */
function oneByOne(given) {
  let next = () => {};
  async function* documents() {
    for (const document of given) {
      const heard = new Promise((resolve) => (next = resolve));
      yield document;
      await heard;
    }
  }
  return { documents: documents(), heard: () => next() };
}

test("a source may wait for outcomes", { timeout: 10_000 }, async () => {
  // Also where the server has no room for the document that the next one waits for.
  const server = await play(function* ({ requestId }) {
    if (server.counts()[requestId] < 2) yield failure(requestId, Code.ResourceExhausted, "BATCH_FULL", after_(10));
    else yield* success(requestId);
  });
  const { documents, heard } = oneByOne([page, page, page]);
  const found = [];
  for await (const { index, error } of connectNode(server.url).batch(documents)) {
    assert.equal(error, undefined);
    found.push(index);
    heard();
  }
  assert.deepEqual(found, [0, 1, 2]);
});

test("a source may wait for outcomes of documents that became none", { timeout: 10_000 }, async () => {
  const { url } = await play(({ requestId }) => success(requestId));
  const { documents, heard } = oneByOne([{ files: [], documentType: "receit" }, page]);
  const found = [];
  for await (const { error } of connectNode(url).batch(documents)) {
    found.push(error?.constructor.name);
    heard();
  }
  assert.deepEqual(found, ["TypeError", undefined]);
});

test("a document is stopped while it waits to be sent again", { timeout: 10_000 }, async () => {
  const abort = new AbortController();
  const server = await play(function* ({ requestId }) {
    if (requestId !== "stopped" || server.counts().stopped > 1) yield* success(requestId);
    else {
      // The refusal is on its way then.
      setTimeout(() => abort.abort(), 100);
      yield failure(requestId, Code.ResourceExhausted, "BATCH_FULL", after_(900));
    }
  });
  // Its name is free then.
  const { documents, heard } = oneByOne([{ ...page, requestId: "stopped", signal: abort.signal }, { ...page, requestId: "stopped" }]);
  const found = [];
  for await (const { error } of connectNode(server.url).batch(documents)) {
    found.push(error?.code);
    heard();
  }
  assert.deepEqual([found, server.counts(), server.cancelled], [["CANCELLED", undefined], { stopped: 2 }, []]);
});

test("nothing is sent again behind the deadline", { timeout: 10_000 }, async () => {
  const server = await play(function* ({ requestId }) {
    yield failure(requestId, Code.ResourceExhausted, "BATCH_FULL", { retryAfter: { seconds: 60n, nanos: 0 } });
  });
  const found = await outcomes(connectNode(server.url).batch([page], { timeoutMs: 5_000 }));
  assert.equal(found.get(0).error.code, "RESOURCE_EXHAUSTED");
});

for (const [transport, connect] of [["one call", connectNode], ["calls of their own", connectWeb]]) {
  test(`${transport}: outcomes that nobody reads take room`, { timeout: 10_000 }, async () => {
    const { url } = await play(({ requestId }) => success(requestId));
    let [taken, read, most] = [0, 0, 0];
    function* documents() {
      for (; taken < 100; ) {
        taken += 1;
        most = Math.max(most, taken - read);
        yield { files: [], documentType: "receit" };
      }
    }
    for await (const { error } of connect(url).batch(documents(), { inFlight: 4 })) {
      assert.match(error.message, /unknown document type/);
      if (read < 3) await new Promise((resolve) => setTimeout(resolve, 20));
      read += 1;
    }
    // Four that wait, and the one in the loop.
    assert.equal(read, 100);
    assert.ok(most <= 5, `${most} at once`);
  });
}

test("a reader that leaves while it waits ends the call at once", { timeout: 10_000 }, async () => {
  const { url, end } = await play(({ requestId }) => [accepted(requestId)]);
  for (const read of ["batch", "streamBatch"]) {
    const events = connectNode(url)[read]([page]);
    if (read === "streamBatch") await events.next();
    // Nothing comes any more.
    const none = events.next();
    if (read === "batch") await new Promise((resolve) => setTimeout(resolve, 200));
    await events.return();
    assert.deepEqual(await none, { done: true, value: undefined });
  }
  await end;
});

test("a source that does not answer is not waited for", { timeout: 10_000 }, async () => {
  const { url, end } = await play(({ requestId }) => success(requestId));
  async function* documents() {
    yield page;
    await new Promise(() => {});
  }
  for await (const { answer } of connectNode(url).batch(documents())) {
    assert.ok(answer);
    break;
  }
  await end;
  const aborted = connectNode(url).batch(documents(), { signal: AbortSignal.timeout(200) });
  await assert.rejects(outcomes(aborted), { code: "CANCELLED" });
});

describe("a batch ends as a whole", () => {
  const begins = function* ({ requestId }) {
    yield accepted(requestId);
  };
  test("by a failure", async () => {
    const { url } = await play(() => {
      throw new ConnectError("broken", Code.Internal);
    });
    await assert.rejects(outcomes(connectNode(url).batch([page, page])), { code: "INTERNAL", message: "broken" });
  });
  test("by its deadline", async () => {
    const { url, end } = await play(begins);
    await assert.rejects(outcomes(connectNode(url).batch([page, page], { timeoutMs: 200 })), { code: "DEADLINE_EXCEEDED" });
    await end;
  });
  test("by its signal", async () => {
    const { url, end } = await play(begins);
    await assert.rejects(outcomes(connectNode(url).batch([page, page], { signal: AbortSignal.timeout(200) })), { code: "CANCELLED" });
    await end;
  });
  test("by who leaves the loop", async () => {
    const { url, end } = await play(begins);
    for await (const _ of connectNode(url).streamBatch([page, page])) break;
    await end;
  });
  test("by its own source", async () => {
    const { url, end } = await play(begins);
    async function* documents() {
      yield page;
      throw new RangeError("the caller's own");
    }
    await assert.rejects(outcomes(connectNode(url).batch(documents())), { name: "RangeError", message: "the caller's own" });
    await end;
  });
  test("by a server that forgets documents", async () => {
    const routes = (router) => router.service(ExtractionService, { async *batchExtract() {} });
    await assert.rejects(outcomes(connectNode(await listen(routes)).batch([page])), IncompleteStreamError);
  });
});

describe("batches of a real server", { skip: missing }, () => {
  let server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.stop());
  const read = (name) => readFileSync(join(SAMPLES, name));

  for (const [transport, connect] of [["gRPC", connectNode], ["gRPC-Web", connectWeb]]) {
    test(`${transport}: documents of all kinds`, async () => {
      const receipt = { files: [read("receipt-01.png")], documentType: "receipt" };
      const given = [
        receipt,
        { files: [Buffer.from("no image")], documentType: "receipt" },
        receipt,
        { files: [read("invoice-01.png")], documentType: "invoice", requestId: "the-invoice" },
        { files: [], documentType: "receit" },
      ];
      const found = await outcomes(connect(server.url).batch(given, { inFlight: 2 }));
      assert.equal(found.size, 5);
      assert.deepEqual([0, 2].map((index) => found.get(index).answer.document.TOTAL_AMOUNT), ["$5976.93", "$5976.93"]);
      const { error } = found.get(1);
      assert.deepEqual([error.code, error.reason, error.violations[0].field], ["INVALID_ARGUMENT", "INVALID_FIELD", "files[0].content"]);
      assert.equal(found.get(3).answer.accepted.requestId, "the-invoice");
      assert.match(found.get(4).error.message, /unknown document type/);
    });

    test(`${transport}: one is stopped, and the other goes on`, async () => {
      const abort = new AbortController();
      const given = [
        { files: [read("receipt-01.png")], documentType: "receipt", signal: abort.signal },
        { files: [read("receipt-02.png")], documentType: "receipt" },
      ];
      const last = {};
      for await (const event of connect(server.url).streamBatch(given)) {
        if (event.index === 0 && event.event?.case === "fieldCompleted") abort.abort();
        last[event.index] = event;
      }
      assert.equal(last[0].error?.code, "CANCELLED");
      assert.equal(last[1].event?.case, "completed");
      await untilIdle(connect(server.url));
    });

    test(`${transport}: leaving frees the slots`, async () => {
      const given = Array(4).fill({ files: [read("receipt-01.png")], documentType: "receipt" });
      for await (const { event } of connect(server.url).streamBatch(given)) if (event?.case === "fieldCompleted") break;
      await untilIdle(connect(server.url));
      const aborted = connect(server.url).batch(given, { signal: AbortSignal.timeout(300) });
      await assert.rejects(outcomes(aborted), { code: "CANCELLED" });
      await untilIdle(connect(server.url));
    });
  }
});
