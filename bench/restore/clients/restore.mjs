// Restores a bucket's keys with the SDK for JavaScript, as many at once as the bench asks for.

import { Agent as PlainAgent } from "node:http";
import { Agent } from "node:https";
import { RestoreObjectCommand, S3Client } from "@aws-sdk/client-s3";

const [bucket, keys, inFlight] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const agents = {
  httpAgent: new PlainAgent({ keepAlive: true, maxSockets: inFlight }),
  httpsAgent: new Agent({ keepAlive: true, maxSockets: inFlight }),
};
const client = new S3Client({ endpoint: process.env.AWS_ENDPOINT_URL_S3, forcePathStyle: true, requestHandler: agents });
const RestoreRequest = { Days: 3, GlacierJobParameters: { Tier: "Standard" } };

let next = 0;
async function lane() {
  while (next < keys) {
    const Key = `2019/08/IMG_${String(next++).padStart(8, "0")}.jpg`;
    await client.send(new RestoreObjectCommand({ Bucket: bucket, Key, RestoreRequest }));
  }
}
await Promise.all(Array.from({ length: inFlight }, lane));
