// rhea, an AMQP 1.0 client, against the broker that the environment variables PORT and WEB_PORT name
// (test_rhea.py starts it).  Each test has queues of its own, as all of them share the broker.

'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const WebSocket = require('ws')
const rhea = require('rhea')
const { types } = rhea
const { HOST, PATIENCE_MS, connect, next } = require('./rhea_peer')

// A receiver whose deliveries can be awaited, one after the other.
class Receiver {
  static async open (connection, source, options = {}) {
    const receiver = new Receiver(connection, source, options)
    await next(receiver.link, 'receiver_open')
    return receiver
  }

  constructor (connection, source, options) {
    this.come = []
    this.waiting = []
    this.link = connection.open_receiver({ source, autoaccept: false, credit_window: 100, ...options })
    this.link.on('receiver_error', context => { this.error = context.receiver.error })
    this.link.on('message', context => {
      const taker = this.waiting.shift()
      if (taker) taker(context)
      else this.come.push(context)
    })
  }

  receive () {
    if (this.come.length) return Promise.resolve(this.come.shift())
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no message came')), PATIENCE_MS)
      this.waiting.push(context => {
        clearTimeout(timer)
        resolve(context)
      })
    })
  }

  async accept () {
    const { message, delivery } = await this.receive()
    delivery.accept()
    return message
  }
}

async function openSender (connection, target, options = {}) {
  const sender = connection.open_sender({ target, ...options })
  if (!sender.sendable()) await next(sender, 'sendable')
  return sender
}

// Sends MESSAGE, and says what became of it.
async function send (sender, message) {
  const settled = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('not settled')), PATIENCE_MS)
    for (const outcome of ['accepted', 'released', 'rejected', 'modified']) {
      sender.on(outcome, function heard (context) {
        if (context.delivery !== delivery) return
        sender.removeListener(outcome, heard)
        clearTimeout(timer)
        resolve({ outcome, error: context.delivery.remote_state && context.delivery.remote_state.error })
      })
    }
  })
  const delivery = sender.send(message)
  return settled
}

let names = 0
function queue () { return `rhea-${process.pid}-${++names}` }

test('a message with all its sections comes as it was', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, name)
  const sent = {
    durable: true,
    priority: 7,
    message_id: 'id-1',
    user_id: Buffer.from('ann'),
    to: name,
    subject: 'greeting',
    reply_to: 'elsewhere',
    correlation_id: 'c-1',
    content_type: 'text/plain',
    content_encoding: 'identity',
    creation_time: 1700000000000,
    group_id: 'g',
    group_sequence: 3,
    reply_to_group_id: 'h',
    message_annotations: { 'x-opt-colour': 'red' },
    application_properties: { text: 'ü', number: 17, truth: true, nothing: null },
    // no footer: rhea puts it in front of the body, where there must be none [AMQP 3.2]
    body: { list: [1, 'two', null], map: { deep: [true] } }
  }
  const { outcome, error } = await send(sender, sent)
  assert.equal(outcome, 'accepted', JSON.stringify(error))
  const receiver = await Receiver.open(connection, name)
  const { message, delivery } = await receiver.receive()
  for (const field of Object.keys(sent)) {
    if (field === 'creation_time') assert.equal(Number(message[field]), sent[field])
    else assert.deepEqual(JSON.parse(JSON.stringify(message[field])), JSON.parse(JSON.stringify(sent[field])), field)
  }
  delivery.accept()
})

test('every type of AMQP, there and back', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, name)
  const receiver = await Receiver.open(connection, name)
  const values = [
    types.wrap_ubyte(255), types.wrap_ushort(65535), types.wrap_uint(4294967295), types.wrap_uint(0),
    types.wrap_uint(200), types.wrap_ulong(200), types.wrap_ulong(0), types.wrap_byte(-128),
    types.wrap_short(-32768), types.wrap_int(-2147483648), types.wrap_int(-1), types.wrap_long(-5),
    types.wrap_float(1.5), types.wrap_double(Math.PI), types.wrap_double(NaN), types.wrap_double(Infinity),
    types.wrap_boolean(true), types.wrap_boolean(false), types.wrap_timestamp(1700000000123),
    types.wrap_symbol('sym'), types.wrap_string(''), types.wrap_string('x'.repeat(300)),
    types.wrap_binary(Buffer.alloc(300, 1)), types.wrap_list([]), types.wrap_map({}),
    types.wrap_array([1, 2, 3], 0x71), types.wrap_list([types.wrap_list([types.wrap_list([])])])
  ]
  for (const value of values) {
    await send(sender, { body: value, application_properties: {} })
    const message = await receiver.accept()
    const plain = v => JSON.stringify(v instanceof Date ? v.getTime() : v)
    assert.equal(plain(message.body), plain(types.unwrap(value)), String(value))
  }
})

test('what is released comes again, what is modified counts, what is rejected is a dead letter', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, name)
  const receiver = await Receiver.open(connection, name)
  await send(sender, { durable: true, body: 'one' })
  const first = await receiver.receive()
  assert.equal(first.message.delivery_count, 0)
  first.delivery.release()
  const second = await receiver.receive()
  assert.equal(second.message.body, 'one')
  second.delivery.modified({ delivery_failed: true, undeliverable_here: false })
  const third = await receiver.receive()
  assert.equal(third.message.delivery_count, 1)
  third.delivery.reject({ condition: 'app:unusable', description: 'says the test' })
  const dead = await Receiver.open(connection, `${name}/$DeadLetterQueue`)
  assert.equal((await dead.accept()).body, 'one')
})

test('credit is what comes, and draining ends with what there is', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, name)
  for (let i = 0; i < 5; i++) await send(sender, { body: i })
  const receiver = await Receiver.open(connection, name, { credit_window: 0 })
  receiver.link.add_credit(2)
  assert.equal((await receiver.accept()).body, 0)
  assert.equal((await receiver.accept()).body, 1)
  receiver.link.drain = true
  receiver.link.add_credit(100)
  await next(receiver.link, 'receiver_drained')
  assert.deepEqual(receiver.come.map(context => context.message.body), [2, 3, 4])
})

test('competing receivers share what there is', async t => {
  const connection = await connect(t)
  const name = queue()
  const one = await Receiver.open(connection, name, { credit_window: 10 })
  const two = await Receiver.open(connection, name, { credit_window: 10 })
  const sender = await openSender(connection, name)
  for (let i = 0; i < 10; i++) await send(sender, { body: i })
  const bodies = []
  for (let i = 0; i < 5; i++) bodies.push((await one.accept()).body, (await two.accept()).body)
  assert.deepEqual(bodies.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a browser takes nothing away', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, name)
  await send(sender, { body: 'stays' })
  const browser = await Receiver.open(connection, { address: name, distribution_mode: 'copy' })
  assert.equal((await browser.receive()).message.body, 'stays')
  const receiver = await Receiver.open(connection, name)
  assert.equal((await receiver.accept()).body, 'stays')
})

test('a selector chooses', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, name)
  for (const colour of ['red', 'green', 'red']) {
    await send(sender, { body: colour, application_properties: { colour } })
  }
  const source = { address: name, filter: rhea.filter.selector("colour = 'green'") }
  const chosen = await Receiver.open(connection, source)
  assert.equal((await chosen.accept()).body, 'green')
  const others = await Receiver.open(connection, name)
  assert.equal((await others.accept()).body, 'red')
  assert.equal((await others.accept()).body, 'red')
})

test('pre-settled both ways', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, name, { snd_settle_mode: 1 })
  const receiver = await Receiver.open(connection, name, { snd_settle_mode: 1 })
  sender.send({ body: 'gone' })
  const { message, delivery } = await receiver.receive()
  assert.equal(message.body, 'gone')
  assert.equal(delivery.remote_settled, true)
})

test('request and answer by a dynamic address', async t => {
  const connection = await connect(t)
  const name = queue()
  const service = await connect(t)
  const requests = await Receiver.open(service, name)
  const answers = await Receiver.open(connection, { dynamic: true })
  const sender = await openSender(connection, name)
  await send(sender, { reply_to: answers.link.source.address, correlation_id: 7, body: 'ping' })
  const request = await requests.accept()
  const answerer = await openSender(service, request.reply_to)
  await send(answerer, { correlation_id: request.correlation_id, body: 'pong' })
  const answer = await answers.accept()
  assert.deepEqual([answer.body, answer.correlation_id], ['pong', 7])
})

test('the anonymous relay', async t => {
  const connection = await connect(t)
  const name = queue()
  const sender = await openSender(connection, null)
  const receiver = await Receiver.open(connection, name)
  await send(sender, { to: name, body: 'by its own address' })
  assert.equal((await receiver.accept()).body, 'by its own address')
})

test('50 MiB in frames of 4 KiB', async t => {
  const connection = await connect(t, { max_frame_size: 4096 })
  const name = queue()
  const sender = await openSender(connection, name)
  const receiver = await Receiver.open(connection, name)
  const body = Buffer.alloc(50 * 1024 * 1024)
  for (let i = 0; i < body.length; i += 4096) body.writeUInt32BE(i, i)
  assert.equal((await send(sender, { body: rhea.message.data_section(body) })).outcome, 'accepted')
  const message = await receiver.accept()
  assert.ok(body.equals(message.body.content), 'other bytes')
})

test('1,000 links on 100 sessions', async t => {
  const connection = await connect(t)
  const name = queue()
  const receivers = []
  for (let s = 0; s < 100; s++) {
    const session = connection.create_session()
    session.begin()
    for (let l = 0; l < 5; l++) {
      receivers.push(Receiver.open(session, `${name}-${s}-${l}`))
    }
    for (let l = 0; l < 5; l++) {
      const sender = session.open_sender(`${name}-${s}-${l}`)
      sender.once('sendable', () => sender.send({ body: `${s}-${l}` }))
    }
  }
  for (let i = 0; i < receivers.length; i++) {
    const message = await (await receivers[i]).accept()
    assert.equal(message.body, `${Math.floor(i / 5)}-${i % 5}`)
  }
})

test('an address that there cannot be is refused in words', async t => {
  const connection = await connect(t)
  const sender = connection.open_sender({ target: 'topic://no/#/topic' })
  const context = await next(sender, 'sender_error')
  assert.match(context.sender.error.condition, /^amqp:(not-found|invalid-field|not-allowed|unauthorized-access)$/)
  assert.ok(context.sender.error.description)
})

test('silence within the idle time-out keeps a connection', async t => {
  const connection = await connect(t, { idle_time_out: 1000 })
  await new Promise(resolve => setTimeout(resolve, 3000))
  assert.equal(connection.is_open(), true)
  const name = queue()
  const sender = await openSender(connection, name)
  assert.equal((await send(sender, { body: 'alive' })).outcome, 'accepted')
})

test('over WebSocket', { skip: !process.env.WEB_PORT }, async t => {
  const container = rhea.create_container()
  const ws = container.websocket_connect(WebSocket)
  const connection = container.connect({
    connection_details: ws(`ws://${HOST}:${process.env.WEB_PORT}/amqp`, ['amqp']), reconnect: false,
    username: 'anonymous'
  })
  connection.on('disconnected', () => {})
  t.after(() => connection.close())
  await next(connection, 'connection_open')
  const name = queue()
  const sender = await openSender(connection, name)
  await send(sender, { body: 'through the web' })
  const receiver = await Receiver.open(connection, name)
  assert.equal((await receiver.accept()).body, 'through the web')
})

test('a publication of MQTT and one of AMQP meet at a topic', async t => {
  const mqtt = require('mqtt')
  const client = await mqtt.connectAsync(`mqtt://${HOST}:${process.env.MQTT_PORT}`,
    { protocolVersion: 5 })
  t.after(() => client.endAsync(true))
  const topic = `city/${process.pid}/1.5`
  const come = new Promise(resolve => client.on('message', (name, payload, packet) => {
    if (packet.properties && packet.properties.userProperties && packet.properties.userProperties.by === 'amqp') resolve(packet)
  }))
  await client.subscribeAsync(topic, { qos: 1 })
  const connection = await connect(t)
  const receiver = await Receiver.open(connection, `topic://${topic}`)
  await client.publishAsync(topic, 'from MQTT', {
    qos: 1, properties: { contentType: 'text/plain', userProperties: { by: 'mqtt' } }
  })
  const message = await receiver.accept()
  assert.equal(message.body.content.toString(), 'from MQTT')
  assert.equal(message.subject, topic)
  assert.equal(message.content_type, 'text/plain')
  assert.equal(message.application_properties.by, 'mqtt')
  const sender = await openSender(connection, `topic://${topic}`)
  const { outcome } = await send(sender, {
    durable: true, body: rhea.message.data_section(Buffer.from('from AMQP')),
    application_properties: { by: 'amqp' }
  })
  assert.equal(outcome, 'accepted')
  assert.equal((await come).payload.toString(), 'from AMQP')
})
