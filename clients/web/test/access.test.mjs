// Certificates, API keys and tokens against a real server: the scenarios of clients/conformance/access, by gRPC.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "../dist/node.js";
import { TesseraError } from "../dist/index.js";
import { ServingState } from "../dist/proto.js";
import { ownMissing, REPOSITORY, SAMPLES, startServerThat, temporary } from "./server.mjs";

const SOURCE = join(REPOSITORY, "clients/conformance/access");
const LIMIT_MS = 60_000;
const { servers, scenarios } = JSON.parse(readFileSync(join(SOURCE, "scenarios.json"), "utf8"));
const skip = ownMissing || (spawnSync("openssl", ["version"]).error ? "needs openssl" : false);

describe("who may call", { skip }, () => {
  const files = temporary("access");
  const read = (name) => readFileSync(join(files, name), "utf8");
  const started = {};
  /** Options of a client; a certificate does no harm where none is wanted. */
  const secure = (authority, client) => ({
    nodeOptions: {
      ca: read(authority),
      ...(client && { cert: read(`${client}.pem`), key: read(`${client}.key`) }),
    },
  });
  before(async () => {
    execFileSync("sh", [join(SOURCE, "make-files.sh"), files]);
    const isReady = async (url) => {
      const options = { attempts: 1, token: read("key.token"), ...secure("ca.pem", "billing") };
      return connect(url.replace("http:", "https:"), options)
        .modelInfo({ timeoutMs: 5_000 })
        .then(({ state }) => state === ServingState.READY, () => false);
    };
    for (const [name, flags] of Object.entries(servers)) {
      started[name] = await startServerThat(isReady, ...flags.map((flag) => flag.replace("DIR", files)));
    }
  });
  after(() => Promise.all(Object.values(started).map((server) => server.stop())));

  const receipt = { files: [readFileSync(join(SAMPLES, "receipt-01.png"))], documentType: "receipt" };
  const calls = {
    Extract: async (client) => check(await client.extract(receipt, { timeoutMs: LIMIT_MS })),
    BatchExtract: async (client) => {
      for await (const { answer, error } of client.batch([receipt, receipt], { timeoutMs: LIMIT_MS })) check(answer ?? assert.fail(error));
    },
    ModelInfo: async (client) => assert.equal((await client.modelInfo({ timeoutMs: LIMIT_MS })).model, "tessera-tiny"),
  };
  const check = ({ document }) => assert.equal(document.TOTAL_AMOUNT, "$30.00");

  for (const { name, server, ca, client, token, call, error } of scenarios) {
    test(name, async () => {
      const url = started[server].url.replace("http:", ca ? "https:" : "http:");
      const text = token && read(`${token}.token`);
      const caller = connect(url, { attempts: 1, ...(text && { token: text }), ...(ca && secure(ca, client)) });
      if (!error) return calls[call](caller);
      await assert.rejects(calls[call](caller), (failure) => {
        assert.ok(failure instanceof TesseraError);
        assert.equal(failure.code, error.code, failure.message);
        if (error.reason) assert.equal(failure.reason, error.reason);
        // What was sent is never said back.
        assert.ok(!text || !failure.message.includes(text));
        return true;
      });
    });
  }
});
