// Reads every page of a folder, several at once, and prints one JSON object a line.
//
//     node examples/batch.mjs scans/ receipt http://localhost:50051
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, TesseraError } from "@tessera-server/client/node";

const [folder = ".", documentType = "receipt", url = "http://localhost:50051"] = process.argv.slice(2);
const AT_ONCE = 8;

const client = connect(url, { attempts: 10 });
const names = (await readdir(folder)).filter((name) => /\.(png|jpe?g|webp|tiff?|pdf)$/i.test(name)).sort();

async function work() {
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const file = join(folder, name);
    try {
      const { document } = await client.extract({ files: [await readFile(file)], documentType });
      console.log(JSON.stringify({ file, document }));
    } catch (error) {
      if (!(error instanceof TesseraError)) throw error;
      console.log(JSON.stringify({ file, error: error.message, reason: error.reason }));
      process.exitCode = 1;
    }
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, work));
