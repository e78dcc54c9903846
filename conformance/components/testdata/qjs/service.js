import { Fields, Response } from "wasi:http/types@0.3.0";

let count = 0;

export const handler = {
  async handle(request) {
    const text = `request ${++count} of ${request.getPathWithQuery()}\n`;
    const { readable } = wit.Stream.from([Uint8Array.from(text, (c) => c.charCodeAt(0))], wit.Stream.U8);
    return Response.new(new Fields(), readable, Promise.resolve({ tag: "ok" }))[0];
  },
};
