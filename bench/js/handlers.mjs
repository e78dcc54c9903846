// The workloads in JavaScript, for Node.js and workerd. handle returns the status, the type and the body of an answer.

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" };
const escape = (text) => text.replace(/[&<>"']/g, (c) => escapes[c]);

const rows = Array.from({ length: 25 }, (_, i) => ({ name: `item ${i}`, count: i * i, note: "made of <wood> & paper" }));
const file = "<!DOCTYPE html>\n<title>A page</title>\n" + "<p>A paragraph of a page, again and again.</p>\n".repeat(64);

function html() {
  let page = "<!DOCTYPE html>\n<title>All items</title>\n<h1>All items</h1>\n<table>\n";
  for (const row of rows) {
    page += `<tr><td><a href="/items/${row.count}">${escape(row.name)}</a></td><td>${row.count}</td><td>${escape(row.note)}</td></tr>\n`;
  }
  return page + "</table>\n";
}

function json(body) {
  const order = JSON.parse(new TextDecoder().decode(body));
  const sum = { customer: order.customer, articles: [], count: 0, cents: 0 };
  for (const line of order.lines) {
    sum.articles.push(line.article);
    sum.count += line.count;
    sum.cents += line.count * line.cents;
  }
  return JSON.stringify(sum) + "\n";
}

function sieve(limit) {
  const composite = new Uint8Array(limit);
  let primes = 0;
  for (let n = 2; n < limit; n++) {
    if (composite[n]) continue;
    primes++;
    for (let m = n * n; m < limit; m += n) composite[m] = 1;
  }
  return `${primes} primes below ${limit}\n`;
}

function csv(body) {
  let path = "", command = "M";
  for (const line of new TextDecoder().decode(body).trimEnd().split("\n")) {
    for (const field of line.split(",")) {
      path += command + Number(field);
      command = " ";
    }
    command = "L";
  }
  return `<svg xmlns="http://www.w3.org/2000/svg"><path d="${path}"/></svg>\n`;
}

function alloc(kilobytes) {
  const pieces = [];
  let size = 16, total = 0;
  while (total < kilobytes * 1024) {
    const piece = new Uint8Array(Math.min(size, kilobytes * 1024 - total)).fill(pieces.length);
    pieces.push(piece);
    total += piece.length;
    size = size === 4096 ? 16 : 2 * size;
  }
  return `allocated ${total} bytes in ${pieces.length} pieces\n`;
}

function spin(milliseconds) {
  for (const end = Date.now() + milliseconds; Date.now() < end; );
  return "";
}

// fetching answers with the body of another server's answer. It is apart, as it is the only handler that waits.
export async function fetching(query) {
  const answer = await fetch("http://" + new URLSearchParams(query).get("upstream") + "/");
  return [200, "text/plain", await answer.text()];
}

export function handle(path, body) {
  const [, service, argument] = path.split("/");
  switch (service) {
    case "hello": return [200, "text/plain", "hello from vespo\n"];
    case "echo": return [200, "application/octet-stream", body];
    case "json": return [200, "application/json", json(body)];
    case "html": return [200, "text/html; charset=utf-8", html()];
    case "sieve": return [200, "text/plain", sieve(200000)];
    case "static": return [200, "text/html; charset=utf-8", file];
    case "csv": return [200, "image/svg+xml", csv(body)];
    case "alloc": return [200, "text/plain", alloc(Number(argument))];
    case "spin": return [200, "text/plain", spin(1000)];
  }
  return [404, "text/plain", "no such workload\n"];
}
