// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Uploads a file with MQTT.js (npm install mqtt); run it again and it is told that all is there.
//
//	node examples/upload.cjs FILE mqtt://HOST CLIENT_ID
const fs = require("fs"), crypto = require("crypto"), path = require("path"), mqtt = require("mqtt");
const [file, url, me] = process.argv.slice(2);
const data = fs.readFileSync(file), name = path.basename(file);
const sha = crypto.createHash("sha256").update(data).digest("hex");
const id = crypto.createHash("sha256").update(`${name} ${sha}`).digest("hex").slice(0, 32);
const client = mqtt.connect(url, { clientId: me, protocolVersion: 5 });
const waiting = new Map();

client.on("message", (topic, payload) => {              // an answer says which command it is to
  const answer = JSON.parse(payload);
  waiting.get(answer.topic)?.(answer);
});
const ask = (command, payload = "") => new Promise((resolve) => {
  waiting.set(`$file/${id}/${command}`, resolve);
  client.publish(`$file/${id}/${command}`, payload, { qos: 1 }, () => {});
});

client.once("connect", async () => {
  await client.subscribeAsync(`$file-response/${me}`, { qos: 1 });
  let answer = await ask("init", JSON.stringify({ name, size: data.length, checksum: sha }));
  if (answer.state !== "complete") {
    for (let at = 0; at < data.length; at += 262144)    // all on their way at once
      ask(at, data.subarray(at, at + 262144));
    answer = await ask(`fin/${data.length}`);
  }
  console.log(answer.reason_description, answer.detail ?? "");
  client.end(() => process.exit(answer.reason_code ? 1 : 0));
});
