// The scenarios of clients/conformance, by gRPC-Web and by gRPC.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { connect as connectWeb } from "../dist/index.js";
import { connect as connectNode } from "../dist/node.js";
import { CheckRule, ConfidenceMethod, DocumentType, ExtractRequestSchema, FinishReason, InputFileSchema, Repair } from "../dist/proto.js";
import { missing, ownMissing, REPOSITORY, SAMPLES, startOwnServer, startServer, untilIdle } from "./server.mjs";

const LONG_MS = 120_000;
const SUITE = join(REPOSITORY, "clients/conformance");
const PLACES = { sample: SAMPLES, file: SUITE };
const suites = readdirSync(SUITE)
  .filter((file) => file.endsWith(".json"))
  .map((file) => ({ file, ...JSON.parse(readFileSync(join(SUITE, file), "utf8")) }));

/** "field_completed" for "fieldCompleted". */
const kind = (event) => event.case.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

assert.ok(suites.length > 0);
for (const { file, server: flags, scenarios } of suites) {
  describe(`conformance: ${file}`, { skip: flags.length > 0 ? ownMissing : missing }, () => {
    let server;
    before(async () => {
      server = await (flags.length > 0 ? startOwnServer(...flags) : startServer());
    });
    after(() => server?.stop());
    assert.ok(scenarios.length > 0);
    for (const [transport, connect] of [["gRPC-Web", connectWeb], ["gRPC", connectNode]]) {
      for (const scenario of scenarios) {
        test(`${transport}: ${scenario.name}`, async () => {
          const client = connect(server.url, { attempts: 1 });
          if (scenario.modelInfo) return checkModelInfo(scenario.modelInfo, await client.modelInfo());
          for (let again = 1; again < (scenario.times ?? 1); again++) await play(client, scenario);
          if (scenario.batch) await checkBatch(client, scenario, transport);
          else checkOutcome(scenario.expect, await play(client, scenario));
          if (scenario.expect.idle) await untilIdle(client);
        });
      }
    }
  });
}

function checkModelInfo(expect, { capabilities }) {
  assert.equal(ConfidenceMethod[capabilities.confidenceMethod], expect.confidenceMethod);
  if (expect.calibrationKinds === null) return assert.equal(capabilities.calibration, undefined);
  const { kinds, documents, checks } = capabilities.calibration;
  for (const kind of expect.calibrationKinds) assert.ok(kinds.includes(kind), kind);
  assert.ok(documents > 0);
  for (const { passed, failed } of checks) assert.ok(passed >= 0 && passed <= 1 && failed >= 0 && failed <= 1);
}

function checkOutcome(expect, { events, failure }) {
  checkStream(events, failure === undefined);
  if (expect.error) return checkError(expect.error, events, failure);
  assert.equal(failure, undefined);
  checkAnswer(expect, events);
}

function toMessage(scenario) {
  const request = fromJson(ExtractRequestSchema, scenario.request);
  scenario.files.forEach((file, index) => {
    const [, type, rest] = /^(\w+):(.*)$/s.exec(file);
    const content = type === "text" ? Buffer.from(rest) : readFileSync(join(PLACES[type], rest));
    request.files[index] ??= create(InputFileSchema);
    request.files[index].content = content;
  });
  return request;
}

async function play(client, scenario) {
  const abort = new AbortController();
  const events = [];
  if (scenario.cancelAfter === "begin") abort.abort();
  try {
    const options = { signal: abort.signal, timeoutMs: scenario.timeoutMs ?? LONG_MS };
    for await (const event of client.streamRequest(toMessage(scenario), options)) {
      events.push(event);
      if (kind(event) === scenario.cancelAfter) abort.abort();
    }
  } catch (failure) {
    return { events, failure };
  }
  return { events, failure: undefined };
}

/** Says as a document what `request` says. */
function toDocument(request, signal) {
  const { requestId, model, generation, eventKinds, priority, task } = request;
  const files = request.files.map(({ content, pages, dpi }) => ({ file: content, pages, dpi }));
  return { requestId, model, generation, eventKinds, priority, files, signal, [task.case]: task.value };
}

async function checkBatch(client, { batch, inFlight, timeoutMs = LONG_MS, expect }, transport) {
  const found = new Map(batch.map((each) => [each.request.requestId, { each, events: [], failure: undefined, stop: new AbortController() }]));
  let whole;
  try {
    const documents = batch.map((each) => toDocument(toMessage(each), found.get(each.request.requestId).stop.signal));
    for await (const { requestId, event, error } of client.streamBatch(documents, { inFlight, timeoutMs })) {
      const document = found.get(requestId);
      document.failure = error;
      if (!event) continue;
      document.events.push(event);
      if (kind(event) === document.each.cancelAfter) document.stop.abort();
    }
  } catch (error) {
    whole = error;
  }
  // By gRPC-Web each document is a call, and has the deadline of the whole for its own.
  if (expect.error && transport === "gRPC-Web") {
    for (const { events, failure } of found.values()) checkError(expect.error, events, failure);
    return;
  }
  if (expect.error) return checkError(expect.error, [], whole);
  assert.equal(whole, undefined);
  for (const { each, events, failure } of found.values()) checkOutcome(each.expect, { events, failure });
}

/** What holds of every stream. */
function checkStream(events, whole) {
  assert.deepEqual(events.map((event) => event.sequence), events.map((_, index) => index + 1));
  events.forEach((event, index) => {
    assert.equal(kind(event) === "accepted", index === 0);
    assert.equal(kind(event) === "completed", whole && index === events.length - 1);
  });
  if (!whole) return;
  const completed = events.at(-1).value;
  const text = events.filter((event) => event.case === "tokenDelta").map((event) => event.value.text).join("");
  if (text) assert.equal(text, completed.text);
  const fields = events.filter((event) => event.case === "fieldCompleted").map((event) => event.value);
  if (fields.length > 0) assert.deepEqual(fields, completed.fields);
}

function checkAnswer(expect, events) {
  const accepted = events[0].value;
  const completed = events.at(-1).value;
  const kinds = new Set(events.map(kind));
  for (const wanted of expect.kinds ?? []) assert.ok(kinds.has(wanted), `no ${wanted}`);
  for (const found of expect.onlyKinds ? kinds : []) assert.ok(expect.onlyKinds.includes(found), `${found} came`);
  if (expect.requestId !== undefined) assert.equal(accepted.requestId, expect.requestId);
  if (expect.pages !== undefined) assert.equal(accepted.tilesPerPage.length, expect.pages);
  if (expect.finishReason) assert.equal(FinishReason[completed.finishReason], expect.finishReason);
  if (expect.text !== undefined) assert.equal(completed.text, expect.text);
  if (expect.checks) {
    assert.deepEqual(Object.fromEntries(completed.checks.map((check) => [CheckRule[check.rule], check.passed])), expect.checks);
  }
  if (expect.outputTokens !== undefined) assert.equal(completed.usage.outputTokens, expect.outputTokens);
  if (expect.document === null) assert.equal(completed.documentJson, undefined);
  if (expect.document) {
    const document = JSON.parse(completed.documentJson);
    for (const [name, value] of Object.entries(expect.document)) assert.equal(document[name], value);
  }
  const fields = new Map(completed.fields.map((field) => [field.pointer, field]));
  checkOrigin(expect, events, fields);
  for (const [pointer, value] of Object.entries(expect.normalized ?? {})) {
    assert.deepEqual(toJson(ValueSchema, fields.get(pointer).normalized), value);
  }
  const lastToken = events.findLastIndex((event) => event.case === "tokenDelta");
  for (const pointer of expect.fieldsBeforeLastToken ?? []) {
    const done = events.findIndex((event) => event.case === "fieldCompleted" && event.value.pointer === pointer);
    assert.ok(done >= 0 && done < lastToken, pointer);
  }
}

/** What is said beside the values: pages, templates, confidence, repairs. */
function checkOrigin(expect, events, fields) {
  const accepted = events[0].value;
  const completed = events.at(-1).value;
  if (expect.pageSources) assert.equal(accepted.pages.length, expect.pageSources.length);
  for (const [index, wanted] of (expect.pageSources ?? []).entries()) {
    for (const [name, value] of Object.entries(wanted)) assert.equal(accepted.pages[index][name], value, name);
  }
  if (expect.promptTemplate) assert.equal(accepted.promptTemplate, expect.promptTemplate);
  if (expect.documentType) {
    const found = events.filter((event) => event.case === "documentType").map((event) => event.value);
    assert.equal(found.length, 1);
    assert.equal(DocumentType[found[0].documentType], expect.documentType.name);
    assert.equal(found[0].promptTemplate, expect.documentType.promptTemplate);
    assert.ok(found[0].usage.inputTokens > 0 && found[0].confidence !== undefined);
  }
  if (expect.repairs) assert.deepEqual(completed.repairs.map((repair) => Repair[repair]), expect.repairs);
  if (expect.isCached !== undefined) assert.equal(completed.usage.cachedInputTokens > 0, expect.isCached);
  for (const [pointer, page] of Object.entries(expect.fieldPages ?? {})) assert.equal(fields.get(pointer).page, page ?? undefined);
  for (const pointer of expect.confident ?? []) {
    const { confidence, minTokenProbability } = fields.get(pointer);
    assert.ok(confidence > 0 && confidence <= 1 && minTokenProbability > 0 && minTokenProbability <= 1, pointer);
  }
}

function checkError(expect, events, failure) {
  assert.equal(failure?.code, expect.code, failure);
  if (expect.reason) assert.equal(failure.reason, expect.reason);
  const named = failure.violations.map((violation) => violation.field);
  for (const field of expect.violations ?? []) assert.ok(named.includes(field), `${field} is not in ${named}`);
  if (expect.messageHas) assert.ok(failure.message.includes(expect.messageHas), failure.message);
  if (expect.events) assert.deepEqual(events.map(kind), expect.events);
}
