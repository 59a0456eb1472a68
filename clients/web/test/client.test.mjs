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
import { DocumentType, EventKind, ExtractionService, ExtractResponseSchema } from "../dist/proto.js";

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
  const requests = [];
  let ended;
  const end = new Promise((resolve) => (ended = resolve));
  const routes = (router) =>
    router.service(ExtractionService, {
      async *extract(request, context) {
        calls.push(context.requestHeader);
        requests.push(request);
        context.signal.addEventListener("abort", ended);
        yield* parts[Math.min(calls.length, parts.length) - 1](context);
      },
      async *watchModelInfo(_, context) {
        context.signal.addEventListener("abort", ended);
        yield { status: {} };
        await once(context.signal, "abort");
      },
    });
  const server = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return { calls, requests, end, url: `http://127.0.0.1:${server.address().port}` };
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

for (const [name, call] of [["stream", (client) => client.stream(document)], ["watchModelInfo", (client) => client.watchModelInfo()]]) {
  test(`leaving ends ${name} at once, also while nothing comes`, { timeout: 10_000 }, async () => {
    const { url, end } = await play(endless);
    const events = call(connect(url));
    await events.next();
    const none = events.next();
    await events.return();
    assert.deepEqual(await none, { done: true, value: undefined });
    await end;
  });
}

test("leaving ends the wait for a full queue", { timeout: 10_000 }, async () => {
  const { url, calls } = await play(full(60_000), success);
  const events = connect(url).stream(document);
  const none = events.next();
  while (calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await events.return();
  assert.deepEqual([await none, calls.length], [{ done: true, value: undefined }, 1]);
});

test("a signal ends the call", async () => {
  const { url, end } = await play(endless);
  const abort = new AbortController();
  const reading = async () => {
    // Where the server has the call.
    for await (const _ of connect(url).stream(document, { signal: abort.signal })) abort.abort();
  };
  await assert.rejects(reading(), { code: "CANCELLED" });
  await end;
});

test("the deadline ends the call", async () => {
  const { url, end } = await play(endless);
  await assert.rejects(read(url, {}, { timeoutMs: 100 }), { code: "DEADLINE_EXCEEDED" });
  await end;
});

describe("deadlines", () => {
  const sent = async (options, call) => {
    const { url, calls } = await play(success);
    await read(url, options, call);
    return calls[0].get("grpc-timeout");
  };
  test("5 minutes, where nobody says", async () => assert.equal(await sent({}, {}), "300000m"));
  test("a part of a millisecond is one", async () => assert.equal(await sent({ timeoutMs: 1999.5 }, {}), "2000m"));
  test("0 is none, of the client and of a call", async () => {
    assert.equal(await sent({ timeoutMs: 0 }, {}), null);
    assert.equal(await sent({ timeoutMs: 1000 }, { timeoutMs: 0 }), null);
    assert.equal(await sent({ timeoutMs: 0 }, { timeoutMs: 1000 }), "1000m");
  });
  test("a retry that begins with none left has one", { timeout: 10_000 }, async (context) => {
    const { url, calls } = await play(full(1000), endless);
    let now = 0;
    context.mock.method(Date, "now", () => now);
    const reading = read(url, {}, { timeoutMs: 2000 });
    // While the client waits for the time to try again.
    setTimeout(() => (now = 2000), 500);
    await assert.rejects(reading, { code: "DEADLINE_EXCEEDED" });
    // The second ends before it reaches anybody; without a deadline it would never end.
    assert.equal(calls[0].get("grpc-timeout"), "2000m");
  });
});

test("whoever wants the whole only is sent no pieces", async () => {
  const { url, requests } = await play(success);
  await connect(url).extract(document);
  await connect(url).extract({ ...document, eventKinds: [EventKind.TOKENS] });
  await read(url);
  assert.deepEqual(requests.map(({ eventKinds }) => eventKinds), [[EventKind.NONE], [EventKind.TOKENS], []]);
});

describe("a batch by a call for each document", () => {
  test("gives outcomes while its source is slow, or waits for them", { timeout: 10_000 }, async () => {
    const { url } = await play(success);
    let heard = () => {};
    async function* documents() {
      for (let index = 0; index < 3; index += 1) {
        const outcome = new Promise((resolve) => (heard = resolve));
        yield document;
        await outcome;
      }
    }
    const found = [];
    for await (const { index, answer } of connect(url).batch(documents())) {
      assert.ok(answer);
      found.push(index);
      heard();
    }
    assert.deepEqual(found, [0, 1, 2]);
  });

  test("takes no more documents than have room", async () => {
    let [taken, open, done, most] = [0, 0, 0, 0];
    let fill = () => {};
    const full = new Promise((resolve) => (fill = resolve));
    const { url } = await play(async function* () {
      open += 1;
      most = Math.max(most, taken - done);
      if (open === 3) fill();
      yield accepted;
      // So many come, and then no more before one of them is done.
      await full;
      await new Promise((resolve) => setTimeout(resolve, 20));
      most = Math.max(most, taken - done);
      [open, done] = [open - 1, done + 1];
      yield completed;
    });
    function* documents() {
      for (; taken < 8; ) {
        taken += 1;
        yield document;
      }
    }
    let outcomes = 0;
    for await (const { answer } of connect(url).batch(documents(), { inFlight: 3 })) outcomes += answer ? 1 : 0;
    assert.deepEqual([outcomes, most], [8, 3]);
  });

  test("does not wait for a source that does not answer", { timeout: 10_000 }, async () => {
    const { url } = await play(success);
    async function* documents() {
      yield document;
      await new Promise(() => {});
    }
    for await (const { answer } of connect(url).batch(documents())) {
      assert.ok(answer);
      break;
    }
    const aborted = async () => {
      for await (const _ of connect(url).batch(documents(), { signal: AbortSignal.timeout(200) }));
    };
    await assert.rejects(aborted(), { code: "CANCELLED" });
  });

  test("ends by its own source", { timeout: 10_000 }, async () => {
    const { url, end } = await play(endless);
    let begins = () => {};
    const begun = new Promise((resolve) => (begins = resolve));
    async function* documents() {
      yield document;
      await begun;
      throw new RangeError("the caller's own");
    }
    const read = async () => {
      for await (const _ of connect(url).streamBatch(documents())) begins();
    };
    await assert.rejects(read(), { name: "RangeError", message: "the caller's own" });
    await end;
  });
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
  for (const question of [{ prompt: "?" }, { schema: {} }]) {
    await assert.rejects(toRequest({ files: [], instructions: "read well", ...question }), /instructions goes with documentType or jsonSchema/);
  }
  const request = await toRequest({ files: [new Blob(["a"]), new Uint8Array([98])], documentType: "receipt" });
  assert.deepEqual(request.files.map((file) => Buffer.from(file.content).toString()), ["a", "b"]);
  assert.equal(request.task.value.source.value, DocumentType.RECEIPT);
  const url = new URL("https://docs.example.com/statement.pdf?signature=1");
  const named = await toRequest({ files: [url, { file: url, pages: [2], dpi: 150 }], documentType: "receipt" });
  assert.deepEqual(named.files.map(({ uri, content, pages, dpi }) => ({ uri, bytes: content.length, pages, dpi })), [
    { uri: url.href, bytes: 0, pages: [], dpi: undefined },
    { uri: url.href, bytes: 0, pages: [2], dpi: 150 },
  ]);
  const own = await toRequest({ files: [], jsonSchema: { type: "object" } });
  assert.deepEqual(own.task.value.source, { case: "jsonSchema", value: '{"type":"object"}' });
});
