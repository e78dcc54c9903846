// Errors with their stacks, in the form that other engines print.

// describe returns the name, message and stack of an error, and those of its causes.
export function describe(error) {
  if (!(error instanceof Error)) return `${typeof error === 'object' ? JSON.stringify(error) : String(error)} was thrown`;
  const frames = String(error.stack ?? '').split('\n').filter((line) => line.trim() !== '').map(frame);
  const text = [`${error.name}: ${error.message}`, ...frames].join('\n');
  return error.cause === undefined ? text : `${text}\ncaused by ${describe(error.cause)}`;
}

// frame turns "name@worker.js:1:2" into "    at name (worker.js:1:2)".
function frame(line) {
  const at = line.lastIndexOf('@');
  const name = line.slice(0, at).replace(/[*/<]+$/, '');
  const place = line.slice(at + 1);
  return name === '' ? `    at ${place}` : `    at ${name} (${place})`;
}

for (const level of ['debug', 'log', 'info', 'warn', 'error']) {
  const original = console[level];
  console[level] = (...args) => original.apply(console, args.map((arg) => (arg instanceof Error ? describe(arg) : arg)));
}
