// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Uploads one file with MQTT.js, everything pipelined, waiting for nothing before fin,
// as the reference Node client for EMQX does. Prints the response to fin.
//
//   node mqttjs_upload.cjs URL CLIENT FILE_ID PATH CHUNK INIT_JSON VERSION
'use strict'

const fs = require('fs')
const mqtt = require('mqtt')

const [url, clientId, fileId, path, chunkText, init, version] = process.argv.slice(2)
const chunk = Number(chunkText)
const content = fs.readFileSync(path)
const client = mqtt.connect(url, { clientId, protocolVersion: Number(version), reconnectPeriod: 0 })

function fail (error) {
  console.error(String(error))
  process.exit(1)
}

function publish (tail, payload) {
  client.publish(`$file/${fileId}/${tail}`, payload, { qos: 1 }, (error) => { if (error) fail(error) })
}

client.on('error', fail)
client.on('close', () => fail('connection closed'))
client.on('message', (topic, payload) => {
  const answer = JSON.parse(payload)
  if (!answer.topic.includes('/fin/')) return
  console.log(payload.toString())
  client.removeAllListeners('close')
  client.removeAllListeners('error')
  client.on('error', () => {}) // the broker may close first
  client.end(false, () => process.exit(0))
})
client.subscribe(`$file-response/${clientId}`, { qos: 1 }, (error) => {
  if (error) fail(error)
  publish('init', init)
  for (let at = 0; at < content.length; at += chunk) {
    publish(String(at), content.subarray(at, at + chunk))
  }
  publish(`fin/${content.length}`, '')
})
