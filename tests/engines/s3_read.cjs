// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Reads with AWS' own SDK what the plugin has stored, by keys and by a signed URL.
 *
 *	node s3_read.cjs MODULES ENDPOINT BUCKET KEY SIGNED_URL FILE
 *
 * Ends with 0 if both have FILE's bytes, and the object says whose it is.
 */
const assert = require("node:assert");
const fs = require("node:fs");
const { createRequire } = require("node:module");

const [modules, endpoint, Bucket, Key, signed, file] = process.argv.slice(2);
const { S3Client, GetObjectCommand, ListObjectsV2Command } = createRequire(modules + "/")("@aws-sdk/client-s3");

async function main() {
	const wanted = fs.readFileSync(file);
	const s3 = new S3Client({ endpoint, region: process.env.AWS_REGION, forcePathStyle: true });
	const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: Key }));
	assert.deepStrictEqual(listed.Contents.map((object) => object.Key), [Key, Key + ".manifest.json"]);
	const object = await s3.send(new GetObjectCommand({ Bucket, Key }));
	assert(wanted.equals(Buffer.from(await object.Body.transformToByteArray())));
	assert.strictEqual(object.ContentType, "application/octet-stream");
	assert.strictEqual(object.Metadata.client, "dev");
	const answer = await fetch(signed);
	assert.strictEqual(answer.status, 200);
	assert(wanted.equals(Buffer.from(await answer.arrayBuffer())));
}

main().catch((error) => {
	console.error(error.message);
	process.exit(1);
});
