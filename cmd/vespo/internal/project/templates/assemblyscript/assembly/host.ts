// What a service can ask the host for: a part of the http-wasm HTTP handler ABI, https://http-wasm.io/http-handler-abi/.

@external("http_handler", "get_method")
declare function get_method(buf: usize, limit: usize): usize;
@external("http_handler", "get_uri")
declare function get_uri(buf: usize, limit: usize): usize;
@external("http_handler", "set_header_value")
declare function set_header_value(kind: u32, name: usize, nameLen: usize, value: usize, valueLen: usize): void;
@external("http_handler", "read_body")
declare function read_body(kind: u32, buf: usize, limit: usize): u64;
@external("http_handler", "write_body")
declare function write_body(kind: u32, body: usize, bodyLen: usize): void;
@external("http_handler", "set_status_code")
declare function set_status_code(status: u32): void;
@external("http_handler", "log")
declare function log_message(level: i32, message: usize, messageLen: usize): void;

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const ERROR: i32 = 2;

// The request's method, such as GET.
export function method(): string {
  return text(get_method);
}

// Path and query as the client sent them.
export function uri(): string {
  return text(get_uri);
}

// The request's whole body, as bytes.
export function body(): Uint8Array {
  let all = new Uint8Array(4096);
  let len = 0;
  for (;;) {
    const got = read_body(REQUEST, all.dataStart + len, all.length - len);
    len += <i32>got;
    if (got >> 32 != 0) return all.subarray(0, len);
    if (len == all.length) {
      const more = new Uint8Array(2 * len);
      more.set(all);
      all = more;
    }
  }
}

// Sets the answer's status, from 200 to 599; 200 if it is not set.
export function setStatus(status: u32): void {
  set_status_code(status);
}

// Sets a header of the answer.
export function setHeader(name: string, value: string): void {
  const n = String.UTF8.encode(name);
  const v = String.UTF8.encode(value);
  set_header_value(RESPONSE, changetype<usize>(n), n.byteLength, changetype<usize>(v), v.byteLength);
}

// Sends a piece of the answer's body. Status and headers are final with the first.
export function write(piece: string): void {
  const p = String.UTF8.encode(piece);
  write_body(RESPONSE, changetype<usize>(p), p.byteLength);
}

// A failed assertion, or an error thrown, ends the request; the client gets a 500, and the service's log the message.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const what = message ? message : "aborted";
  const where = file ? file : "?";
  const m = String.UTF8.encode(what + " at " + where + ":" + line.toString() + ":" + column.toString());
  log_message(ERROR, changetype<usize>(m), m.byteLength);
  unreachable();
}

// A getter returns the value's real length, and writes nothing if that exceeds the limit.
function text(get: (buf: usize, limit: usize) => usize): string {
  let buf = new ArrayBuffer(256);
  let len = get(changetype<usize>(buf), buf.byteLength);
  if (len > <usize>buf.byteLength) {
    buf = new ArrayBuffer(<i32>len);
    len = get(changetype<usize>(buf), buf.byteLength);
  }
  return String.UTF8.decodeUnsafe(changetype<usize>(buf), len);
}
