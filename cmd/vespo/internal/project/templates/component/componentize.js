// Makes a component of a core module: node componentize.js CORE OUT. The core module imports and exports the functions of the
// world in wit/world.wit; its imports of WASI preview 1 are taken by the adapter of jco.
import { readFile, writeFile } from "node:fs/promises";
import { componentEmbed, componentNew, preview1AdapterReactorPath } from "@bytecodealliance/jco";

const [core, out] = process.argv.slice(2);
const embedded = await componentEmbed({
  binary: await readFile(core),
  witSource: await readFile("wit/world.wit", "utf8"),
  world: "service",
});
const adapter = await readFile(preview1AdapterReactorPath());
await writeFile(out, await componentNew(embedded, [["wasi_snapshot_preview1", adapter]]));
