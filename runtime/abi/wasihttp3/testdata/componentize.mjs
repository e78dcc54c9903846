// Makes NAME.wasm from NAME.core.wasm and NAME.wit. Usage: node componentize.mjs NAME WIT-DIRECTORY
import { componentEmbed, componentNew } from '@bytecodealliance/jco-transpile/wasm-tools';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

const [name, directory] = process.argv.slice(2);
let witSource = readFileSync(`${name}.wit`, 'utf8');
for (const entry of readdirSync(directory)) { // all packages in one text
  const text = readFileSync(`${directory}/${entry}/package.wit`, 'utf8');
  witSource += text.replace(/^package (.*);/m, 'package $1 {') + '}\n';
}
const binary = readFileSync(`${name}.core.wasm`);
const embedded = await componentEmbed({ binary, witSource, world: name, stringEncoding: 'utf8' });
writeFileSync(`${name}.wasm`, await componentNew(embedded, []));
