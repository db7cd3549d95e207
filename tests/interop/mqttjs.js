// MQTT.js against the broker that the environment variable BROKER names (test_mqttjs.py starts it).
// Each test has clients and topics of its own, as all of them share the broker.

'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const mqtt = require('mqtt')

const PATIENCE_MS = 30000
const VERSIONS = [
  { name: '3.1', protocolVersion: 3, protocolId: 'MQIsdp' },
  { name: '3.1.1', protocolVersion: 4 },
  { name: '5', protocolVersion: 5 }
]

// A connected client whose messages can be awaited, one after the other.
class Client {
  static async connect (t, options = {}) {
    const client = new Client(options)
    t.after(() => client.mqtt.endAsync(true))
    const [connack] = await once(client.mqtt, 'connect', patience())
    client.connack = connack
    return client
  }

  constructor (options) {
    this.messages = []
    this.waiting = []
    this.mqtt = mqtt.connect(process.env.BROKER, { reconnectPeriod: 0, ...options })
    this.mqtt.on('message', (topic, payload, packet) => {
      const taker = this.waiting.shift()
      if (taker) taker(packet)
      else this.messages.push(packet)
    })
  }

  receive () {
    if (this.messages.length) return this.messages.shift()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no message came')), PATIENCE_MS)
      this.waiting.push(packet => {
        clearTimeout(timer)
        resolve(packet)
      })
    })
  }

  async payloads (count) {
    const all = []
    while (all.length < count) all.push((await this.receive()).payload.toString())
    return all
  }

  subscribe (filter, options) { return this.mqtt.subscribeAsync(filter, options) }
  publish (topic, payload, options) { return this.mqtt.publishAsync(topic, payload, options) }
  end (options) { return this.mqtt.endAsync(false, options) }

  // The connection ends without DISCONNECT.
  async vanish () {
    const closed = once(this.mqtt, 'close', patience())
    this.mqtt.stream.destroy()
    await closed
  }
}

function patience () { return { signal: AbortSignal.timeout(PATIENCE_MS) } }

let names = 0
function name () { return `js${++names}` }

for (const { name: version, ...protocol } of VERSIONS) {
  const open = (t, options) => Client.connect(t, { ...protocol, clientId: name(), ...options })

  test(`${version}: every QoS`, async t => {
    const [publisher, subscriber, top] = [await open(t), await open(t), name()]
    for (const wanted of [0, 1, 2]) {
      const [granted] = await subscriber.subscribe(`${top}/${wanted}`, { qos: wanted })
      assert.equal(granted.qos, wanted)
      for (const qos of [0, 1, 2]) {
        await publisher.publish(`${top}/${wanted}`, `${qos}`, { qos })
        const got = await subscriber.receive()
        assert.equal(got.payload.toString(), `${qos}`)
        assert.equal(got.qos, Math.min(qos, wanted))
        assert.equal(got.retain, false)
      }
    }
  })

  test(`${version}: order`, async t => {
    const [publisher, subscriber, topic] = [await open(t), await open(t), name()]
    const sent = Array.from({ length: 1000 }, (_, i) => `${i}`)
    await subscriber.subscribe(topic, { qos: 2 })
    for (const qos of [0, 1, 2]) {
      await Promise.all(sent.map(payload => publisher.publish(topic, payload, { qos })))
      assert.deepEqual(await subscriber.payloads(1000), sent)
    }
  })

  test(`${version}: large and empty`, async t => {
    const [publisher, subscriber, topic] = [await open(t), await open(t), name()]
    await subscriber.subscribe(topic, { qos: 2 })
    const large = Buffer.alloc(10 * 1024 * 1024, 'gnatter')
    for (const [qos, payload] of [[0, large], [1, Buffer.alloc(0)], [2, large]]) {
      await publisher.publish(topic, payload, { qos })
      assert.ok(payload.equals((await subscriber.receive()).payload))
    }
  })

  test(`${version}: retained`, async t => {
    const [publisher, first, late, topic] = [await open(t), await open(t), await open(t), name()]
    await publisher.publish(topic, 'one', { qos: 1, retain: true })
    await publisher.publish(topic, 'two', { qos: 1, retain: true })
    await first.subscribe(topic, { qos: 1 })
    const kept = await first.receive()
    assert.deepEqual([kept.payload.toString(), kept.retain], ['two', true])
    await publisher.publish(topic, '', { qos: 1, retain: true })
    await late.subscribe(topic, { qos: 1 })
    await publisher.publish(topic, 'live', { qos: 1 })
    assert.deepEqual(await late.payloads(1), ['live'])
  })

  test(`${version}: will`, async t => {
    const [watcher, topic] = [await open(t), name()]
    await watcher.subscribe(`${topic}/#`, { qos: 2 })
    const will = { payload: Buffer.from('will'), qos: 2, retain: false }
    const polite = await open(t, { will: { topic: `${topic}/polite`, ...will } })
    await polite.end()
    const mortal = await open(t, { will: { topic: `${topic}/mortal`, ...will } })
    await mortal.vanish()
    const got = await watcher.receive()
    assert.deepEqual([got.topic, got.qos], [`${topic}/mortal`, 2])
  })

  test(`${version}: take-over, and what was queued meanwhile`, async t => {
    const [publisher, topic, clientId] = [await open(t), name(), name()]
    const lasting = { clientId, clean: false }
    if (version === '5') lasting.properties = { sessionExpiryInterval: 600 }
    const old = await open(t, lasting)
    await old.subscribe(topic, { qos: 2 })
    const closed = once(old.mqtt, 'close', patience())
    const next = await open(t, lasting)
    await closed
    if (version !== '3.1') assert.equal(next.connack.sessionPresent, true)
    await publisher.publish(topic, 'live', { qos: 2 })
    assert.deepEqual(await next.payloads(1), ['live'])
    await next.vanish()
    const sent = Array.from({ length: 200 }, (_, i) => `${i}`)
    await Promise.all(sent.map(payload => publisher.publish(topic, payload, { qos: 2 })))
    const back = await open(t, lasting)
    assert.deepEqual(await back.payloads(200), sent)
    await back.end()
    await (await open(t, { clientId })).end()
  })

  test(`${version}: reconnects by itself`, async t => {
    const [publisher, topic] = [await open(t), name()]
    const client = await open(t, { reconnectPeriod: 1 })
    await client.subscribe(topic, { qos: 1 })
    const suback = new Promise(resolve => {
      client.mqtt.on('packetreceive', p => { if (p.cmd === 'suback') resolve() })
    })
    client.mqtt.stream.destroy()
    await suback // MQTT.js subscribes again without being told
    await publisher.publish(topic, 'after', { qos: 1 })
    assert.deepEqual(await client.payloads(1), ['after'])
  })

  test(`${version}: shared subscription`, async t => {
    const [publisher, topic] = [await open(t), name()]
    const members = [await open(t), await open(t)]
    for (const member of members) await member.subscribe(`$share/group/${topic}`, { qos: 1 })
    const sent = Array.from({ length: 100 }, (_, i) => i)
    await Promise.all(sent.map(i => publisher.publish(topic, `${i}`, { qos: 1 })))
    const shares = members.map(m => m.messages)
    const end = Date.now() + PATIENCE_MS
    while (shares[0].length + shares[1].length < 100 && Date.now() < end) {
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    assert.ok(shares[0].length > 0 && shares[1].length > 0)
    const got = shares.flat().map(m => Number(m.payload)).sort((a, b) => a - b)
    assert.deepEqual(got, sent)
  })
}

const five = (t, options) => Client.connect(t, { protocolVersion: 5, clientId: name(), ...options })

test('5: topic aliases in both directions', async t => {
  const publisher = await five(t, { autoAssignTopicAlias: true })
  const subscriber = await five(t, { properties: { topicAliasMaximum: 2 } })
  assert.ok(publisher.connack.properties.topicAliasMaximum > 0)
  const aliases = []
  subscriber.mqtt.on('packetreceive', p => {
    if (p.cmd === 'publish') aliases.push(p.properties && p.properties.topicAlias)
  })
  const top = name()
  await subscriber.subscribe(`${top}/#`, { qos: 1 })
  const topics = Array.from({ length: 100 }, (_, i) => `${top}/${i % 4}`)
  for (const topic of topics) await publisher.publish(topic, topic, { qos: 1 })
  for (const topic of topics) {
    const got = await subscriber.receive()
    assert.equal(got.payload.toString(), topic)
    assert.ok(got.topic === topic || got.topic === '')
  }
  assert.ok(aliases.some(alias => alias), 'the broker used no alias')
  assert.ok(aliases.every(alias => !alias || alias <= 2))
})

test('5: properties', async t => {
  const [publisher, subscriber, topic] = [await five(t), await five(t), name()]
  await subscriber.subscribe(topic, { qos: 1, properties: { subscriptionIdentifier: 7 } })
  const properties = {
    payloadFormatIndicator: true,
    contentType: 'text/plain',
    responseTopic: 'answers',
    correlationData: Buffer.from([0, 255]),
    userProperties: { b: ['2', '3'], a: '1' }
  }
  await publisher.publish(topic, 'x', { qos: 1, properties })
  const got = await subscriber.receive()
  assert.deepEqual({ ...got.properties, userProperties: { ...got.properties.userProperties } },
    { ...properties, subscriptionIdentifier: 7 })
})

test('5: message expiry', async t => {
  const [publisher, topic] = [await five(t), name()]
  const lasting = { clientId: name(), clean: false, properties: { sessionExpiryInterval: 600 } }
  const away = await five(t, lasting)
  await away.subscribe(topic, { qos: 1 })
  await away.end()
  for (const [text, seconds] of [['stale', 1], ['fresh', 1000]]) {
    await publisher.publish(topic, text, { qos: 1, properties: { messageExpiryInterval: seconds } })
  }
  await new Promise(resolve => setTimeout(resolve, 2100))
  const got = await (await five(t, lasting)).receive()
  assert.equal(got.payload.toString(), 'fresh')
  assert.ok(got.properties.messageExpiryInterval < 999)
})

test('5: retain handling and retain as published', async t => {
  const [publisher, subscriber, topic] = [await five(t), await five(t), name()]
  await publisher.publish(topic, 'kept', { qos: 1, retain: true })
  await subscriber.subscribe(topic, { qos: 1, rh: 2, rap: true })
  await publisher.publish(topic, 'live', { qos: 1, retain: true })
  const got = await subscriber.receive()
  assert.deepEqual([got.payload.toString(), got.retain], ['live', true])
  await subscriber.subscribe(topic, { qos: 1, rh: 0 })
  assert.deepEqual(await subscriber.payloads(1), ['live'])
})

test('5: receive maximum of the client', async t => {
  const [publisher, topic] = [await five(t), name()]
  let holding = []
  const slow = await five(t, {
    properties: { receiveMaximum: 3 },
    customHandleAcks: (_topic, _payload, _packet, done) => holding.push(done)
  })
  let unanswered = 0
  slow.mqtt.on('packetreceive', p => { if (p.cmd === 'publish') assert.ok(++unanswered <= 3) })
  slow.mqtt.on('packetsend', p => { if (p.cmd === 'puback') unanswered-- })
  await slow.subscribe(topic, { qos: 1 })
  for (let i = 0; i < 20; i++) await publisher.publish(topic, `${i}`, { qos: 1 })
  for (let answered = 0; answered < 20;) {
    await new Promise(resolve => setImmediate(resolve))
    const now = holding
    holding = []
    for (const done of now) { done(0); answered++ }
  }
})

test('5: maximum packet size of the client', async t => {
  const [publisher, topic] = [await five(t), name()]
  const small = await five(t, { properties: { maximumPacketSize: 1000 } })
  await small.subscribe(topic, { qos: 1 })
  await publisher.publish(topic, 'x'.repeat(2000), { qos: 1 })
  await publisher.publish(topic, 'small', { qos: 1 })
  assert.deepEqual(await small.payloads(1), ['small'])
})

test('5: what the broker says when it ends a connection', async t => {
  const clientId = name()
  const old = await five(t, { clientId })
  const told = once(old.mqtt, 'disconnect', patience())
  await five(t, { clientId })
  assert.equal((await told)[0].reasonCode, 0x8e)
  const large = await five(t)
  assert.equal(large.connack.properties.maximumPacketSize, 16 * 1024 * 1024)
})

test('5: a client id from the broker', async t => {
  const client = await five(t, { clientId: '' })
  assert.ok(client.connack.properties.assignedClientIdentifier)
})

test('5: will with delay and properties', async t => {
  const [watcher, topic] = [await five(t), name()]
  await watcher.subscribe(topic, { qos: 1 })
  const mortal = await five(t, {
    properties: { sessionExpiryInterval: 600 },
    will: {
      topic,
      payload: Buffer.from('will'),
      qos: 1,
      properties: { willDelayInterval: 1, contentType: 'a/b', userProperties: { k: 'v' } }
    }
  })
  const gone = Date.now()
  await mortal.vanish()
  const got = await watcher.receive()
  assert.ok(Date.now() - gone >= 990)
  assert.deepEqual([got.properties.contentType, got.properties.userProperties.k], ['a/b', 'v'])
})

test('$SYS', async t => {
  const client = await five(t)
  await client.subscribe('$SYS/broker/version')
  assert.match((await client.payloads(1))[0], /gnatter/)
})
