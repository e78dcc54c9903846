// The workloads on node:http, in one process for each processor, or alone in this one.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { availableParallelism } from "node:os";
import { handle, fetching } from "./handlers.mjs";

function answer(response, [status, type, body]) {
  const bytes = Buffer.from(body);
  response.writeHead(status, { "Content-Type": type, "Content-Length": bytes.length });
  response.end(bytes);
}

const server = createServer((request, response) => {
  const [path, query] = request.url.split("?");
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    if (path === "/fetch") {
      fetching(query).then((a) => answer(response, a), (e) => answer(response, [502, "text/plain", String(e)]));
    } else {
      answer(response, handle(path, pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)));
    }
  });
});

if (process.argv[2] === "alone") {
  server.listen(0, "127.0.0.1", () => console.log("listening on 127.0.0.1:" + server.address().port));
} else if (cluster.isPrimary) {
  const workers = Number(process.argv[2]) || availableParallelism();
  let listening = 0;
  cluster.on("listening", (_, address) => {
    if (++listening === workers) console.log("listening on 127.0.0.1:" + address.port);
  });
  for (let i = 0; i < workers; i++) cluster.fork();
} else {
  server.listen(0, "127.0.0.1");
}
