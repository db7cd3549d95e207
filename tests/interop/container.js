// rhea, an AMQP 1.0 client, at our container, which is at PORT (test_container.py starts it).

'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PATIENCE_MS, connect, next } = require('./rhea_peer')

// Of the next COUNT messages.
function bodies (receiver, count) {
  return new Promise((resolve, reject) => {
    const come = []
    const timer = setTimeout(() => reject(new Error(`only ${come.length} came`)), PATIENCE_MS)
    receiver.on('message', ({ message }) => {
      come.push(message.body)
      if (come.length < count) return
      clearTimeout(timer)
      resolve(come)
    })
  })
}

test('messages have outcomes', async t => {
  const connection = await connect(t)
  const sender = connection.open_sender('in')
  await next(sender, 'sendable')
  for (const [body, event] of [['good', 'accepted'], ['bad', 'rejected'], ['later', 'released'],
    ['elsewhere', 'modified']]) {
    sender.send({ body })
    await next(sender, event)
  }
})

test('a source gives what there is', async t => {
  const connection = await connect(t)
  const receiver = connection.open_receiver({ source: 'out', credit_window: 4 })
  assert.deepEqual(await bodies(receiver, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('what is drained ends', async t => {
  const connection = await connect(t)
  const receiver = connection.open_receiver({ source: 'out', credit_window: 0 })
  const come = bodies(receiver, 10)
  receiver.drain = true
  receiver.add_credit(20)
  await next(receiver, 'receiver_drained')
  assert.equal((await come).length, 10)
})

test('requests are answered', async t => {
  const connection = await connect(t)
  const receiver = connection.open_receiver({ source: { dynamic: true } })
  await next(receiver, 'receiver_open')
  const sender = connection.open_sender('echo')
  await next(sender, 'sendable')
  for (let i = 0; i < 5; i++) {
    sender.send({ body: `hello ${i}`, reply_to: receiver.source.address, message_id: i })
    const { message } = await next(receiver, 'message')
    assert.equal(message.body, `hello ${i}`)
    assert.equal(message.correlation_id, i)
  }
})

test('who is nobody is refused where users are', async t => {
  const connection = await connect(t)
  const sender = connection.open_sender('users')
  sender.on('sender_close', () => {})
  const { sender: refused } = await next(sender, 'sender_error')
  assert.equal(refused.error.condition, 'amqp:unauthorized-access')
})

test('a password is asked for', async t => {
  const connection = await connect(t, { username: 'user', password: 'secret' })
  const sender = connection.open_sender('users')
  await next(sender, 'sendable')
  sender.send({ body: 'm' })
  await next(sender, 'accepted')
})
