// Makes a component of a bundled script: node componentize.mjs PROJECT BUNDLE OUTPUT
//
// The component consists of StarlingMonkey, a JavaScript engine that the package componentize-js contains, and of the
// engine's memory after it has evaluated the script. All components of one engine differ in that memory alone. So the
// engine is prepared once, and kept beside this file. After that, a script is evaluated by the prepared engine in this
// process, and its memory becomes the data of the component. componentize-js does the same with a program of its own, which
// compiles the whole engine each time.
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { WASI } from 'node:wasi';
import { parseModule, replaceModule, writeModule } from './binary.mjs';

const features = ['stdio', 'random', 'clocks', 'http', 'fetch-event'];
const here = dirname(fileURLToPath(import.meta.url));

class BuildError extends Error {}

// toolIn imports a module of an installed package.
function toolIn(project) {
  const find = createRequire(join(project, 'package.json'));
  return async (name) => import(pathToFileURL(name.startsWith('/') ? name : find.resolve(name)));
}

// packageOf returns the directory of componentize-js. Its package.json is not exported.
function packageOf(project) {
  const find = createRequire(join(project, 'package.json'));
  for (const dir of find.resolve.paths('@bytecodealliance/componentize-js')) {
    const candidate = join(dir, '@bytecodealliance', 'componentize-js');
    if (existsSync(join(candidate, 'package.json'))) return candidate;
  }
  throw new BuildError('@bytecodealliance/componentize-js is not installed: run npm install');
}

// evaluate lets an engine evaluate a script, and returns its state: memory and stack pointer are all that it has.
async function evaluate(engine, bindings, meta, script) {
  const temp = mkdtempSync(join(here, 'evaluate-'));
  try {
    writeFileSync(join(temp, 'bindings.js'), bindings);
    writeFileSync(join(temp, 'worker.js'), script);
    writeFileSync(join(temp, 'arguments'), '--initializer-script-path bindings.js --strip-path-prefix / worker.js\n');
    const stdin = openSync(join(temp, 'arguments'), 'r');
    const stdout = openSync(join(temp, 'stdout'), 'w');
    const stderr = openSync(join(temp, 'stderr'), 'w');
    const fail = (cause) => {
      const said = readFileSync(join(temp, 'stdout'), 'utf8') + readFileSync(join(temp, 'stderr'), 'utf8');
      throw new BuildError(explain(said, cause));
    };
    try {
      return await run(engine, meta, { stdin, stdout, stderr, preopens: { '/': temp } }, fail);
    } finally {
      for (const fd of [stdin, stdout, stderr]) closeSync(fd);
    }
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}

async function run(engine, meta, streams, fail) {
  const wasi = new WASI({ version: 'preview1', args: [], env: environment(meta), returnOnExit: false, ...streams });
  const module = await WebAssembly.compile(engine);
  const { exports } = await WebAssembly.instantiate(module, imports(module, wasi));
  try {
    wasi.initialize({ exports });
    exports['componentize.wizer']();
  } catch (cause) {
    fail(cause);
  }
  if (exports.check_init() !== 0) fail(new Error('the engine does not accept the exports of the script'));
  return { memory: new Uint8Array(exports.memory.buffer) };
}

// environment describes the functions that the engine imports, as it wants to be told.
function environment(meta) {
  const env = {
    DEBUG: '',
    SOURCE_NAME: 'worker.js',
    FEATURE_CLOCKS: '1',
    EXPORT_CNT: String(meta.exports.length),
    IMPORT_CNT: String(meta.imports.length),
  };
  meta.imports.forEach(([, name, count], i) => {
    env[`IMPORT${i}_NAME`] = name;
    env[`IMPORT${i}_ARGCNT`] = String(count);
  });
  return env;
}

// imports returns WASI preview 1, and functions that throw for all else: nothing can be reached while a script is evaluated.
// A program that ends while it is evaluated has failed.
function imports(module, wasi) {
  const exit = (code) => { throw new Error(`the script exits with code ${code}`); };
  const all = { wasi_snapshot_preview1: { ...wasi.wasiImport, proc_exit: exit } };
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    all[from] ??= {};
    all[from][name] ??= () => { throw new Error(`${from}#${name} is not available while the script is evaluated, only in requests`); };
  }
  return all;
}

// explain returns what the engine printed, without its own frames.
function explain(said, cause) {
  const lines = said.split('\n').filter((line) => line.trim() !== '' && !line.includes('bindings.js'));
  if (lines.length === 0 || !(cause.message ?? '').startsWith('the script exits')) lines.push(cause.message ?? String(cause));
  return lines.join('\n');
}

// prepare returns the engine, and the component that its data belongs to.
async function prepare(project) {
  const kept = join(here, 'engine');
  if (!existsSync(kept)) {
    console.error('preparing the JavaScript engine, once for this user');
    await make(project, kept);
  }
  return {
    engine: readFileSync(join(kept, 'engine.wasm')),
    template: readFileSync(join(kept, 'template.wasm')),
    bindings: readFileSync(join(kept, 'bindings.js')),
    meta: JSON.parse(readFileSync(join(kept, 'meta.json'), 'utf8')),
  };
}

// make prepares an engine in a directory.
async function make(project, kept) {
  const from = packageOf(project);
  const load = toolIn(from);
  const { splicer } = await load(join(from, 'lib', 'spidermonkey-embedding-splicer.js'));
  const { componentNew, preview1AdapterReactorPath } = await load('@bytecodealliance/jco');
  const wit = join(here, 'wit');
  const base = readFileSync(join(from, 'lib', 'starlingmonkey_embedding.wasm'));
  const spliced = splicer.spliceBindings(base, features, undefined, wit, 'worker', false);
  const engine = Buffer.from(spliced.wasm);
  const meta = { imports: spliced.imports, exports: spliced.exports };
  const state = await evaluate(engine, spliced.jsBindings, meta, "addEventListener('fetch', () => {});\n");
  const evaluated = writeModule(parseModule(engine), state.memory, ['_initialize', 'componentize.wizer']);
  const stubbed = splicer.stubWasi(evaluated, features, undefined, wit, 'worker');
  const adapter = readFileSync(preview1AdapterReactorPath());
  const template = await componentNew(stubbed, [['wasi_snapshot_preview1', adapter]], false);

  const temp = mkdtempSync(join(here, 'preparing-'));
  writeFileSync(join(temp, 'engine.wasm'), engine);
  writeFileSync(join(temp, 'template.wasm'), template);
  writeFileSync(join(temp, 'bindings.js'), spliced.jsBindings);
  writeFileSync(join(temp, 'meta.json'), JSON.stringify(meta));
  try {
    renameSync(temp, kept);
  } catch (error) {
    rmSync(temp, { recursive: true, force: true });
    if (!existsSync(kept)) throw error; // otherwise another build was faster
  }
}

async function main(project, bundle, output) {
  const { engine, template, bindings, meta } = await prepare(resolve(project));
  const { memory } = await evaluate(engine, bindings, meta, readFileSync(bundle));
  const component = replaceModule(template, (module) => writeModule(parseModule(module), memory, []));
  writeFileSync(output, component);
}

try {
  await main(...process.argv.slice(2));
} catch (error) {
  console.error(error instanceof BuildError ? error.message : error);
  process.exitCode = 1;
}
