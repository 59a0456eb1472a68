// The playground in a real Chromium, served by a real Tessera.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import axe from "axe-core";
import puppeteer from "puppeteer-core";
import { connect } from "../dist/index.js";
import { HERE, missing, ownMissing, SAMPLES, startOwnServer, startServer, startServerThat, untilIdle, temporary } from "./server.mjs";

const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (path) => path && existsSync(path),
);
const skip = missing || (CHROMIUM ? false : "needs Chromium: install it, or set CHROMIUM to its path");
const SOON = { timeout: 60_000 };
/** Set to a folder, the pages that people should see are kept there. */
const SHOTS = process.env.TESSERA_SHOTS;

describe("playground", { skip }, () => {
  let server;
  let browser;
  let page;
  let complaints;
  before(async () => {
    server = await startServer();
    // Chromium's own sandbox needs rights that containers rarely have.
    browser = await puppeteer.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--force-color-profile=srgb"] });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function open() {
    page = await browser.newPage();
    complaints = [];
    // A violation of the policy is a message of the console, too.
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(server.url);
    await page.waitForSelector('#state[data-state="ready"]', SOON);
  }
  async function close() {
    assert.deepEqual(complaints, []);
    await page.close();
  }
  const text = (selector) => page.$eval(selector, (element) => element.textContent);
  const value = (pointer) => page.$eval(`[data-pointer="${pointer}"]`, (area) => area.value);
  const status = (word) => page.waitForFunction((word) => document.querySelector("#status").textContent.startsWith(word), SOON, word);
  /** What axe finds: WCAG A and AA, and good practice. */
  async function audit() {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return violations.map((found) => `${found.id}: ${found.nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`);
  }
  async function shot(name) {
    if (!SHOTS) return;
    mkdirSync(SHOTS, { recursive: true });
    await page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }

  test("the form fills before the answer ends, and all of it is right", async () => {
    await open();
    await page.click('[data-sample="receipt"]');
    await page.waitForSelector("#pages img");
    await page.click("#read");
    // All fields are there, empty, and the first ones fill while the server still writes.
    await page.waitForFunction(() => document.querySelectorAll(".field:not(.empty):not(.writing)").length >= 3, SOON);
    const early = await page.evaluate(() => ({
      rows: document.querySelectorAll(".field").length,
      filled: document.querySelectorAll(".field:not(.empty)").length,
      busy: document.querySelector("#answer").ariaBusy,
      summary: !document.querySelector("#summary").hidden,
    }));
    assert.equal(early.rows, 14);
    assert.ok(early.filled < 14, `${early.filled} fields are filled`);
    assert.deepEqual([early.busy, early.summary], ["true", false]);
    // As the picture in the documentation is described.
    const seven = () => document.querySelectorAll(".field:not(.empty):not(.writing)").length === 7 && document.querySelector(".field.writing");
    if (SHOTS) await page.waitForFunction(seven, SOON);
    await shot("playground-reading");

    await status("Done: 14 fields");
    const truth = JSON.parse(readFileSync(join(SAMPLES, "receipt-01.json"), "utf8"));
    const fields = truth.fields ?? truth;
    assert.equal(await value("/TOTAL_AMOUNT"), fields.TOTAL_AMOUNT);
    assert.equal(await value("/SUPPLIER_NAME"), fields.SUPPLIER_NAME);
    assert.equal(await value("/PAYER_NAME"), "not on the page");
    const meters = await page.$$eval("meter", (all) => all.map((meter) => meter.value));
    assert.equal(meters.length, 14);
    assert.ok(meters.every((confidence) => confidence > 0 && confidence <= 1));
    assert.match(await text("#facts"), /Output tokens\d+/);
    assert.match(await text("#devices"), /language_model\.model\.layers/);
    const folder = temporary("download");
    const session = await page.createCDPSession();
    await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder, eventsEnabled: true });
    const saved = new Promise((resolve) => {
      session.on("Browser.downloadProgress", ({ state }) => state === "completed" && resolve());
    });
    await page.click("#download");
    await saved;
    const json = JSON.parse(readFileSync(join(folder, "document.json"), "utf8"));
    assert.equal(json.TOTAL_AMOUNT, fields.TOTAL_AMOUNT);
    await shot("playground-done");
    await close();
  });

  test("a schema of one's own is checked while it is typed, and read", async () => {
    await open();
    await page.click('[data-sample="receipt"]');
    await page.waitForSelector("#pages img");
    await page.select("#task", "schema");
    // It begins as the one of the document type that was chosen.
    assert.match(await page.$eval("#schema", (area) => area.value), /"SUPPLIER_NAME": \{/);
    const leaf = { type: ["string", "null"] };
    const schema = JSON.stringify({ type: "object", properties: { SUPPLIER_NAME: leaf, TOTAL_AMOUNT: leaf } });
    await page.$eval("#schema", (area) => area.select());
    await page.keyboard.type(schema.slice(0, -1), { delay: 0 });
    assert.match(await text("#schema-note"), /^Not JSON yet/);
    assert.equal(await page.$eval("#read", (button) => button.disabled), true);
    await page.keyboard.type("}");
    await page.click("#read");
    await status("Done: 2 fields");
    assert.deepEqual([await value("/SUPPLIER_NAME"), await value("/TOTAL_AMOUNT")], ["Racheal", "$5976.93"]);
    // What is JSON and no schema that can be served, the server names.
    await page.$eval("#schema", (area) => area.select());
    await page.keyboard.type('{"type": "array"}', { delay: 0 });
    await page.click("#read");
    await page.waitForSelector("#failure:not([hidden])", SOON);
    assert.match(await text("#failure"), /INVALID_ARGUMENT.*schema/s);
    await close();
  });

  test("what is not asked for does not stand in the way, and what is wrong is shown", async () => {
    await open();
    await page.click('[data-sample="receipt"]');
    await page.waitForSelector("#pages img");
    await page.select("#task", "schema");
    await page.$eval("#schema", (area) => area.select());
    await page.keyboard.type("{", { delay: 0 });
    assert.equal(await page.$eval("#read", (button) => button.disabled), true);
    await page.select("#task", "1");
    // A number beyond its bounds, in options that are folded away again.
    await page.$eval("#options", (options) => (options.open = true));
    await page.type("#temperature", "5");
    await page.$eval("#options", (options) => (options.open = false));
    await page.click("#read");
    await page.waitForFunction(() => document.activeElement.id === "temperature" && document.querySelector("#options").open, SOON);
    await page.$eval("#temperature", (input) => (input.value = ""));
    await page.click("#read");
    await status("Done: 14 fields");
    // The bar is full, however short the time.
    const [bar, parts] = await page.$eval("#times .bar", (bar) => [
      bar.clientWidth,
      [...bar.children].reduce((sum, part) => sum + part.getBoundingClientRect().width, 0),
    ]);
    assert.ok(Math.abs(bar - parts) < 3, `${parts} of ${bar} px`);
    await close();
  });

  test("a server that wants to know who calls is told so in the page", { skip: ownMissing }, async () => {
    const key = "a-key-that-only-this-test-has";
    const file = join(temporary("access"), "access.toml");
    const sha256 = createHash("sha256").update(key).digest("hex");
    // Who may ask what the server is, and not watch it.
    writeFileSync(file, `[[key]]\nname = "page"\nsha256 = "${sha256}"\n\n[[rule]]\ncallers = ["key:page"]\nmethods = ["Extract", "ModelInfo"]\n`);
    const guarded = await startServerThat(async (url) => (await fetch(url).catch(() => undefined))?.ok, "--access-file", file);
    const tab = await browser.newPage();
    await tab.goto(guarded.url);
    await tab.waitForSelector('#state[data-state="refused"]', SOON);
    assert.match(await tab.$eval("#model", (element) => element.textContent), /token or an API key/);
    await tab.type("#token", key);
    await tab.keyboard.press("Tab");
    await tab.waitForSelector('#state[data-state="ready"]', SOON);
    await tab.click('[data-sample="receipt"]');
    await tab.waitForSelector("#pages img");
    await tab.click("#read");
    await tab.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Done: 14"), SOON);
    await tab.close();
    await guarded.stop();
  });

  test("the kind of a document is found", async () => {
    await open();
    await page.click('[data-sample="invoice"]');
    await page.waitForSelector("#pages img");
    await page.select("#task", "4");
    await page.click("#read");
    await status("Done:");
    assert.equal(await value("/DOCUMENT_TYPE"), "invoice");
    await close();
  });

  test("cancel frees the slot at once", async () => {
    await open();
    const client = connect(server.url);
    await page.click('[data-sample="bank-statement"]');
    await page.waitForSelector("#pages img");
    // By the keyboard alone.
    await page.focus("#task");
    await page.keyboard.down("Control");
    await page.keyboard.press("Enter");
    await page.keyboard.up("Control");
    await page.waitForFunction(() => document.querySelector("#text").textContent.length > 20, SOON);
    assert.equal((await client.modelInfo()).load.runningRequests, 1);
    await page.keyboard.press("Escape");
    await status("Cancelled");
    await untilIdle(client, 2_000);
    assert.equal(await page.$eval("#read", (button) => button.hidden), false);
    await close();
  });

  test("a page that is closed while it reads frees the slot", async () => {
    await open();
    const client = connect(server.url);
    await page.click('[data-sample="receipt"]');
    await page.waitForSelector("#pages img");
    await page.click("#read");
    await page.waitForFunction(() => document.querySelector("#text").textContent.length > 20, SOON);
    await page.close();
    await untilIdle(client, 2_000);
  });

  test("a file that is no image is named, and can be removed", async () => {
    await open();
    const input = await page.$("#files");
    await input.uploadFile(join(HERE, "package.json"));
    await page.waitForSelector("#pages .file");
    await page.click("#read");
    await page.waitForSelector("#failure:not([hidden])", SOON);
    const failure = await text("#failure");
    assert.match(failure, /INVALID_ARGUMENT, INVALID_FIELD/);
    assert.match(failure, /files\[0\]\.content/);
    assert.equal(await page.$$eval(".field", (rows) => rows.length), 0);
    await shot("playground-failure");
    await page.click("#pages button");
    assert.equal(await page.$eval("#read", (button) => button.disabled), true);
    await close();
  });

  test("pages are dropped and pasted, and a question is answered", async () => {
    await open();
    const bytes = [...readFileSync(join(SAMPLES, "receipt-02.png"))];
    for (const kind of ["drop", "paste"]) {
      await page.evaluate(
        (bytes, kind) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, { type: "image/png" }));
          const event = kind === "drop" ? new DragEvent(kind, { dataTransfer: data }) : new ClipboardEvent(kind, { clipboardData: data });
          document.dispatchEvent(event);
        },
        bytes,
        kind,
      );
    }
    await page.waitForFunction(() => document.querySelectorAll("#pages li").length === 2, SOON);
    await page.select("#task", "prompt");
    await page.type("#prompt", "Who sent this?");
    await page.$eval("#options", (options) => (options.open = true));
    await page.type("#max-output-tokens", "12");
    await page.click("#read");
    await status("Done");
    assert.match(await text("#status"), /cut at its longest length/);
    assert.ok((await text("#text")).length > 0);
    await close();
  });

  test("it is whole on a phone, in the dark, and for a screen reader", async () => {
    await open();
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await page.setViewport({ width: 390, height: 844 });
    await page.click('[data-sample="receipt"]');
    await page.waitForSelector("#pages img");
    await page.click("#read");
    await status("Done");
    const [wide, dark] = await page.evaluate(() => [
      document.documentElement.scrollWidth - innerWidth,
      getComputedStyle(document.body).backgroundColor,
    ]);
    assert.ok(wide <= 0, `${wide} px too wide`);
    assert.equal(dark, "rgb(16, 20, 24)");
    // Names, roles, contrast, order of headings, in both schemes of colours.
    for (const scheme of ["dark", "light"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      assert.deepEqual(await audit(), [], scheme);
    }
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await page.$eval("#answer", (answer) => answer.scrollIntoView());
    await shot("playground-phone-dark");
    await close();
  });

  test("the keyboard alone is enough, and shows where it is", async () => {
    await open();
    const stops = [];
    /** Goes on until `selector` has the focus. */
    const tabTo = async (selector) => {
      for (let tab = 0; tab < 40; tab += 1) {
        await page.keyboard.press("Tab");
        const [there, name, outline] = await page.evaluate((selector) => {
          const element = document.activeElement;
          return [element.matches(selector), element.id || element.outerHTML.slice(0, 60), getComputedStyle(element).outlineStyle];
        }, selector);
        stops.push({ name, outline });
        if (there) return;
      }
      assert.fail(`${selector} is not reached: ${JSON.stringify(stops)}`);
    };
    await tabTo('[data-sample="receipt"]');
    await page.keyboard.press("Enter");
    await page.waitForSelector("#pages img");
    await tabTo("#read");
    await page.keyboard.press("Enter");
    // The focus goes to what can be done now.
    await page.waitForFunction(() => document.activeElement.id === "cancel", SOON);
    await status("Done: 14 fields");
    assert.equal(await page.evaluate(() => document.activeElement.id), "read");
    assert.deepEqual(stops.filter(({ outline }) => outline === "none"), []);
    await close();
  });

  test("its policy runs and loads nothing but its own", async () => {
    await open();
    const answer = await fetch(server.url);
    assert.match(answer.headers.get("content-security-policy"), /default-src 'none'.*require-trusted-types-for 'script'/);
    const { refused, ran } = await page.evaluate(async () => {
      // What a debugger evaluates may use eval, whatever the policy: a task of the page itself may not.
      await new Promise((resolve) => setTimeout(resolve));
      const refused = [];
      document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
      const attempt = (name, action) => {
        try {
          action();
        } catch {
          refused.push(name);
        }
      };
      attempt("innerHTML", () => (document.body.lastElementChild.innerHTML = "<b>markup</b>"));
      attempt("text of a script", () => (document.createElement("script").textContent = "globalThis.ran = true"));
      attempt("eval", () => globalThis.eval("globalThis.ran = true"));
      const handler = document.createElement("div");
      attempt("handler", () => handler.setAttribute("onclick", "globalThis.ran = true"));
      document.body.append(handler);
      handler.click();
      const style = document.createElement("style");
      style.textContent = "body { display: none }";
      document.head.append(style);
      document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:1/pixel.png" }));
      document.body.append(Object.assign(document.createElement("iframe"), { src: "http://127.0.0.1:1/" }));
      await fetch("http://127.0.0.1:1/").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { refused, ran: globalThis.ran };
    });
    assert.equal(ran, undefined);
    for (const name of ["innerHTML", "text of a script", "eval", "style-src-elem", "img-src", "frame-src", "connect-src"]) {
      assert.ok(refused.includes(name), `${name} is not among ${refused}`);
    }
    await page.close();
  });

  test("a PDF is pages, too", async () => {
    const print = await browser.newPage();
    const image = readFileSync(join(SAMPLES, "receipt-01.png")).toString("base64");
    await print.setContent(`<img src="data:image/png;base64,${image}">`);
    const path = join(temporary("pdf"), "receipt.pdf");
    await print.pdf({ path, width: "600px", height: "800px", pageRanges: "1" });
    await print.close();
    await open();
    await (await page.$("#files")).uploadFile(path);
    await page.waitForSelector("#pages .file");
    await page.click("#read");
    await status("Done: 14 fields");
    assert.equal(await page.$eval('[data-pointer="/DOCUMENT_TYPE"]', (area) => area.value), "receipt");
    await close();
  });

  test("a page that was made to point here under another name gets nothing", async () => {
    const rules = "--host-resolver-rules=MAP evil.example 127.0.0.1";
    const fooled = await puppeteer.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", rules] });
    const tab = await fooled.newPage();
    const answer = await tab.goto(server.url.replace("127.0.0.1", "evil.example"));
    assert.equal(answer.status(), 421);
    assert.match(await answer.text(), /--allowed-hosts/);
    // And from there, the API of the same origin, which CORS would let it read.
    const call = await tab.evaluate(() =>
      fetch("/tessera.v1.ExtractionService/ModelInfo", {
        method: "POST",
        headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
        body: new Uint8Array(5),
      }).then((answer) => answer.status),
    );
    assert.equal(call, 421);
    await fooled.close();
  });

  test("pages of other origins may call only where they are named", { skip: ownMissing }, async () => {
    const other = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>other</p>"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const origin = `http://127.0.0.1:${other.address().port}`;
    const friendly = await startOwnServer("--cors-origin", origin, "--no-playground");
    const tab = await browser.newPage();
    await tab.goto(origin);
    const call = (url) =>
      tab.evaluate(
        (url) =>
          fetch(`${url}/tessera.v1.ExtractionService/ModelInfo`, {
            method: "POST",
            headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
            body: new Uint8Array(5),
          }).then((answer) => answer.status, (error) => error.message),
        url,
      );
    assert.equal(await call(friendly.url), 200);
    assert.equal(await call(server.url), "Failed to fetch");
    assert.equal((await fetch(friendly.url)).status, 404);
    await tab.close();
    await friendly.stop();
    other.close();
  });
});
