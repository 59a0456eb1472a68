// Reads every page of a folder over one call, and prints one JSON object a line.
//
//     node examples/batch.mjs scans/ receipt http://localhost:50051
//
// Pages are read from disk as there is room for them. A document that fails is a line with `error`, and the
// others go on.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "@tessera-server/client/node";

const [folder = ".", documentType = "receipt", url = "http://localhost:50051"] = process.argv.slice(2);

const names = (await readdir(folder)).filter((name) => /\.(png|jpe?g|webp|tiff?|pdf)$/i.test(name)).sort();

async function* documents() {
  for (const name of names) yield { files: [await readFile(join(folder, name))], documentType };
}
for await (const { index, answer, error } of connect(url, { attempts: 10 }).batch(documents(), { inFlight: 8 })) {
  const file = join(folder, names[index]);
  console.log(JSON.stringify(answer ? { file, document: answer.document } : { file, error: error.message, reason: error.reason }));
  if (error) process.exitCode = 1;
}
