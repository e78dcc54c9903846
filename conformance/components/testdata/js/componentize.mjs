// Makes a component of a script: node componentize.mjs SCRIPT OUT
import { componentize } from '@bytecodealliance/componentize-js';
import { readFileSync, writeFileSync } from 'node:fs';

// What a listener of fetch events exports. componentize-js adds the imports of its engine.
const witWorld = `
package local:app;
package wasi:http@0.2.10 {
  interface types { resource incoming-request; resource response-outparam; }
  interface incoming-handler {
    use types.{incoming-request, response-outparam};
    handle: func(request: incoming-request, response-out: response-outparam);
  }
}
world service { export wasi:http/incoming-handler@0.2.10; }`;

const [script, out] = process.argv.slice(2);
const { component } = await componentize(readFileSync(script, 'utf8'), { witWorld, worldName: 'service' });
writeFileSync(out, component);
