// What the client does by itself, against a scripted server of real gRPC-Web: a real Tessera is never in
// these states on demand.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { connect, IncompleteStreamError, TesseraError, toRequest } from "../dist/index.js";
import { DocumentType, ExtractionService, ExtractResponseSchema } from "../dist/proto.js";

const accepted = create(ExtractResponseSchema, { sequence: 1n, event: { case: "accepted", value: { requestId: "r" } } });
const completed = create(ExtractResponseSchema, {
  sequence: 2n,
  event: { case: "completed", value: { documentJson: '{"A": 1}' } },
});
const document = { files: [new Uint8Array([1])], prompt: "What?" };
const servers = [];
after(() => servers.forEach((server) => server.closeAllConnections() ?? server.close()));

/** Plays one part for each call, the last one again and again. */
async function play(...parts) {
  const calls = [];
  let ended;
  const end = new Promise((resolve) => (ended = resolve));
  const routes = (router) =>
    router.service(ExtractionService, {
      async *extract(_, context) {
        calls.push(context.requestHeader);
        context.signal.addEventListener("abort", ended);
        yield* parts[Math.min(calls.length, parts.length) - 1](context);
      },
    });
  const server = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return { calls, end, url: `http://127.0.0.1:${server.address().port}` };
}

const success = async function* () {
  yield accepted;
  yield completed;
};
const endless = async function* ({ signal }) {
  yield accepted;
  await once(signal, "abort");
};
const failing = (code, details = [], first = []) =>
  async function* () {
    yield* first;
    throw Object.assign(new ConnectError("said so", code), { details });
  };
const info = (reason) => {
  const entry = new BinaryWriter().tag(1, 2).string("limit").tag(2, 2).string("64").finish();
  const value = new BinaryWriter().tag(1, 2).string(reason).tag(2, 2).string("tessera").tag(3, 2).bytes(entry).finish();
  return { type: "google.rpc.ErrorInfo", value };
};
const retry = (ms) => {
  const duration = new BinaryWriter().tag(1, 0).int64(Math.floor(ms / 1000)).tag(2, 0).int32((ms % 1000) * 1e6).finish();
  return { type: "google.rpc.RetryInfo", value: new BinaryWriter().tag(1, 2).bytes(duration).finish() };
};
const full = (ms) => failing(Code.ResourceExhausted, [info("QUEUE_FULL"), retry(ms)]);

async function read(url, options = {}, call = {}) {
  const events = [];
  for await (const event of connect(url, options).stream(document, call)) events.push(event);
  return events;
}

describe("retries", () => {
  const cut = failing(Code.Unavailable, [retry(1)], [accepted]);
  for (const [name, parts, options, calls, code] of [
    ["a full queue, when it says", [full(50), full(50), success], {}, 3, undefined],
    ["so often and no more", [full(1)], { attempts: 2 }, 2, "RESOURCE_EXHAUSTED"],
    ["not beyond the deadline", [full(3_600_000)], {}, 1, "RESOURCE_EXHAUSTED"],
    ["not what fails again anywhere", [failing(Code.ResourceExhausted, [info("TOO_LARGE")]), success], {}, 1, "RESOURCE_EXHAUSTED"],
    ["a server that is loading", [failing(Code.Unavailable, [info("MODEL_LOADING")]), success], {}, 2, undefined],
    ["no stream that began", [cut, success], {}, 1, "UNAVAILABLE"],
  ]) {
    test(name, async () => {
      const server = await play(...parts);
      const failure = await read(server.url, options).then(() => undefined, (error) => error);
      assert.equal(failure?.code, code, failure);
      assert.equal(server.calls.length, calls);
    });
  }
});

test("failures say all that the server said", async () => {
  const violation = new BinaryWriter().tag(1, 2).string("files").tag(2, 2).string("is empty").finish();
  const bad = { type: "google.rpc.BadRequest", value: new BinaryWriter().tag(1, 2).bytes(violation).finish() };
  const { url } = await play(failing(Code.InvalidArgument, [info("INVALID_FIELD"), bad, retry(1500)]));
  await assert.rejects(read(url), (error) => {
    assert.ok(error instanceof TesseraError);
    assert.deepEqual(
      [error.code, error.reason, error.metadata, error.violations, error.retryAfterMs, error.message],
      ["INVALID_ARGUMENT", "INVALID_FIELD", { limit: "64" }, [{ field: "files", description: "is empty" }], 1500, "said so"],
    );
    return true;
  });
});

test("OK without completed is a failure", async () => {
  const { url } = await play(async function* () {
    yield accepted;
  });
  await assert.rejects(read(url), IncompleteStreamError);
});

test("events of a newer server are skipped", async () => {
  const { url } = await play(async function* () {
    yield accepted;
    yield create(ExtractResponseSchema, { sequence: 2n });
    yield completed;
  });
  assert.deepEqual((await read(url)).map((event) => event.case), ["accepted", "completed"]);
});

test("leaving the loop ends the call", async () => {
  const { url, end } = await play(endless);
  for await (const _ of connect(url).stream(document)) break;
  await end;
});

test("a signal ends the call", async () => {
  const { url, end } = await play(endless);
  await assert.rejects(read(url, {}, { signal: AbortSignal.timeout(100) }), { code: "CANCELLED" });
  await end;
});

test("the deadline ends the call", async () => {
  const { url, end } = await play(endless);
  await assert.rejects(read(url, {}, { timeoutMs: 100 }), { code: "DEADLINE_EXCEEDED" });
  await end;
});

test("tokens and trace context travel", async () => {
  const { url, calls } = await play(success);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await read(url, { token: async () => "secret" }, { headers: { traceparent } });
  assert.equal(calls[0].get("authorization"), "Bearer secret");
  assert.equal(calls[0].get("traceparent"), traceparent);
});

test("documents are checked where the server cannot", async () => {
  await assert.rejects(toRequest({ files: [], documentType: "receit" }), /unknown document type "receit"/);
  await assert.rejects(toRequest({ files: [], documentType: "receipt", prompt: "?" }), /give one of/);
  const request = await toRequest({ files: [new Blob(["a"]), new Uint8Array([98])], documentType: "receipt" });
  assert.deepEqual(request.files.map((file) => Buffer.from(file.content).toString()), ["a", "b"]);
  assert.equal(request.task.value.source.value, DocumentType.RECEIPT);
  const own = await toRequest({ files: [], jsonSchema: { type: "object" } });
  assert.deepEqual(own.task.value.source, { case: "jsonSchema", value: '{"type":"object"}' });
});
