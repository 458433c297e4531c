// One GetItem per event with the AWS SDK for JavaScript, and the loop of a Lambda runtime around it.
// AWS's own runtime does more than this loop, so what is measured here is the least that Node costs.

import http from "node:http";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

const table = process.env.LEDGER_TABLE;
const client = new DynamoDBClient({});

async function handle(event) {
  const key = { pk: { S: "R#" + event.restore }, sk: { S: "restore" } };
  const got = await client.send(new GetItemCommand({ TableName: table, Key: key, ConsistentRead: true }));
  return { error: event.error, found: got.Item !== undefined };
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const url = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/${path}`;
    const headers = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const request = http.request(url, { method, agent, headers }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(parts).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

for (;;) {
  const invocation = await call("GET", "next");
  const output = JSON.stringify(await handle(JSON.parse(invocation.text)));
  await call("POST", `${invocation.headers["lambda-runtime-aws-request-id"]}/response`, output);
}
