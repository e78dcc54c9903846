// Does what Prack's client for Node.js does: ask, answer as JSON, and ask again without waiting for what the answer's answer is.
const http = require("node:http");

const address = process.env.PRACK_URL;

function ask() {
  const asked = http.get(address, (response) => {
    const parts = [];
    response.on("data", (part) => parts.push(part));
    response.on("end", () => {
      if (response.statusCode === 200) {
        answer(JSON.parse(Buffer.concat(parts).toString()));
      }
      setTimeout(ask, 0);
    });
  });
  asked.on("error", () => setTimeout(ask, 100));
}

function answer(taken) {
  const message = JSON.stringify({
    identifier: taken.identifier,
    code: 200,
    headers: { "Content-Type": "text/html", Connection: "close" },
    body: Buffer.from(`Hello from Node: ${taken.environment.REQUEST_METHOD} ${taken.environment.PATH_INFO}`).toString("base64"),
  });
  const sent = http.request(address, { method: "POST", headers: { "Content-Type": "application/json" } }, (said) => said.resume());
  sent.on("error", () => {});
  sent.end(message);
}

console.log("working");
ask();
