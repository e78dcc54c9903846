// Tests of the writer of components: node --test binary.test.mjs
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseModule, replaceModule, segments, signed, writeModule } from '../js/tools/binary.mjs';

// A module with one page of memory, data, two exports, and a function load(i32) -> i32.
const whole = Buffer.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 5, 3, 1, 0, 1,
  7, 12, 2, 1, 0x6d, 2, 0, 4, 0x6c, 0x6f, 0x61, 0x64, 0, 0,
  12, 1, 1, 10, 9, 1, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b, 11, 7, 1, 0, 0x41, 0, 0x0b, 1, 42,
]);

test('the memory becomes the data of the module', async () => {
  const memory = new Uint8Array(3 * 65536);
  memory.set([1, 2, 3], 0);
  memory.set([4], 100_000);
  memory.set([5, 6], 3 * 65536 - 2);
  const written = writeModule(parseModule(whole), memory, ['load']);
  const { instance } = await WebAssembly.instantiate(written);
  assert.deepEqual(Object.keys(instance.exports), ['m']);
  assert.deepEqual(new Uint8Array(instance.exports.m.buffer), memory);
  const again = await WebAssembly.instantiate(writeModule(parseModule(written), new Uint8Array(65536), []));
  assert.deepEqual(new Uint8Array(again.instance.exports.m.buffer), new Uint8Array(65536));
});

test('segments are the parts that are not zero', () => {
  for (const holes of [0, 8, 56, 64, 72, 80, 500]) {
    const memory = new Uint8Array(65536);
    memory[0] = 1;
    memory[8 + holes] = 2;
    const found = segments(memory), copy = new Uint8Array(65536);
    for (const { offset, bytes } of found) copy.set(bytes, offset);
    assert.deepEqual(copy, memory);
    assert.ok(found.length <= 2);
  }
});

test('offsets are signed numbers', () => {
  for (const [value, want] of [[0, [0]], [63, [63]], [64, [0xc0, 0]], [-1, [0x7f]], [-65, [0xbf, 0x7f]], [65536, [0x80, 0x80, 4]]]) {
    assert.deepEqual(signed(value), want, String(value));
  }
});

test('the first module of a component is replaced', () => {
  const component = Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, 0, 1, 0, 1, 3, 1, 2, 3, 1, 1, 9]);
  const replaced = replaceModule(component, (body) => Buffer.concat([body, body]));
  assert.deepEqual([...replaced], [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, 0, 1, 0, 1, 6, 1, 2, 3, 1, 2, 3, 1, 1, 9]);
  assert.throws(() => replaceModule(component.subarray(0, 11), (body) => body), /contains no module/);
});
