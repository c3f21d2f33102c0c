// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A rule engine's end with MQTT.js, the client of Node-RED's MQTT nodes: a kept session
// that hears of files. Prints each event as a line, and ends after the one of type LAST.
//
//   node mqttjs_events.cjs URL CLIENT VERSION LAST
'use strict'

const mqtt = require('mqtt')

const [url, clientId, version, last] = process.argv.slice(2)
const client = mqtt.connect(url, {
  clientId,
  clean: false,
  protocolVersion: Number(version),
  properties: version === '5' ? { sessionExpiryInterval: 3600 } : undefined,
  reconnectPeriod: 200
})

client.on('error', (error) => {
  console.error(String(error))
  process.exit(1)
})
client.on('message', (topic, payload, packet) => {
  const event = JSON.parse(payload)
  console.log(JSON.stringify({ topic, qos: packet.qos, retain: packet.retain, event }))
  if (event.type === last) client.end(false, () => process.exit(0))
})
client.subscribe('$file-event/#', { qos: 1 }, (error) => {
  if (error) throw error
  console.log('ready')
})
