// Makes NAME.wasm from NAME.core.wasm and NAME.wit. Usage: node componentize.mjs NAME WIT-DIRECTORY... [ADAPTER.wasm]
import { componentEmbed, componentNew } from '@bytecodealliance/jco-transpile/wasm-tools';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

const [name, ...rest] = process.argv.slice(2);
const adapters = rest.filter((r) => r.endsWith('.wasm')).map((r) => ['wasi_snapshot_preview1', readFileSync(r)]);
let witSource = readFileSync(`${name}.wit`, 'utf8');
for (const directory of rest.filter((r) => !r.endsWith('.wasm'))) {
  for (const entry of readdirSync(directory)) { // all packages in one text
    const text = readFileSync(`${directory}/${entry}/package.wit`, 'utf8');
    witSource += text.replace(/^package (.*);/m, 'package $1 {') + '}\n';
  }
}
const binary = readFileSync(`${name}.core.wasm`);
const embedded = await componentEmbed({ binary, witSource, world: name, stringEncoding: 'utf8' });
writeFileSync(`${name}.wasm`, await componentNew(embedded, adapters));
