// The workloads as a worker.
import { handle, fetching } from "./handlers.mjs";

export default {
  async fetch(request) {
    const url = new URL(request.url);
    const [status, type, body] = url.pathname === "/fetch" ? await fetching(url.search)
      : handle(url.pathname, request.body ? new Uint8Array(await request.arrayBuffer()) : new Uint8Array());
    return new Response(body, { status, headers: { "Content-Type": type } });
  },
};
