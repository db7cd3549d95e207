// MQTT.js logs in by the METHOD of SCRAM at the broker that BROKER names (test_scram.py starts it):
// the exchange is MQTT.js', what the packets say is written here with node's own cryptography.

'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { once } = require('node:events')
const { test } = require('node:test')
const mqtt = require('mqtt')

const METHOD = process.env.METHOD
const [DIGEST, SIZE] = METHOD === 'SCRAM-SHA-512' ? ['sha512', 64] : ['sha256', 32]
const patience = () => ({ signal: AbortSignal.timeout(30000) })
const mac = (key, text) => crypto.createHmac(DIGEST, key).update(text).digest()

// One exchange [RFC 5802, RFC 7677].
class Scram {
  constructor (user, password) {
    this.password = password
    this.bare = `n=${user},r=${crypto.randomBytes(18).toString('base64')}`
    this.first = Buffer.from(`n,,${this.bare}`)
  }

  answer (challenge) {
    const fields = Object.fromEntries(challenge.toString().split(',').map(f => [f[0], f.slice(2)]))
    const withoutProof = `c=biws,r=${fields.r}`
    const signed = `${this.bare},${challenge},${withoutProof}`
    const salted = crypto.pbkdf2Sync(this.password, Buffer.from(fields.s, 'base64'),
      Number(fields.i), SIZE, DIGEST)
    const key = mac(salted, 'Client Key')
    const signature = mac(crypto.createHash(DIGEST).update(key).digest(), signed)
    this.last = `v=${mac(mac(salted, 'Server Key'), signed).toString('base64')}`
    const proof = Buffer.from(key.map((byte, i) => byte ^ signature[i]))
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`)
  }
}

const auth = (reasonCode, authenticationData) => ({
  cmd: 'auth', reasonCode, properties: { authenticationMethod: METHOD, authenticationData }
})

function start (t, user, password) {
  let scram = new Scram(user, password)
  const client = mqtt.connect(process.env.BROKER, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    properties: { authenticationMethod: METHOD, authenticationData: scram.first }
  })
  t.after(() => client.endAsync(true))
  client.handleAuth = (packet, callback) => {
    const data = packet.properties.authenticationData
    if (packet.reasonCode === 0) {
      client.emit('proved', data.toString() === scram.last)
      callback()
    } else {
      callback(null, auth(0x18, scram.answer(data)))
    }
  }
  client.again = (user, password) => {
    scram = new Scram(user, password)
    client._sendPacket(auth(0x19, scram.first))
  }
  client.last = () => scram.last
  return client
}

test('logs in, talks, authenticates again and goes on talking', async t => {
  const client = start(t, 'ann', 'secret')
  const [connack] = await once(client, 'connect', patience())
  assert.equal(connack.properties.authenticationMethod, METHOD)
  assert.equal(connack.properties.authenticationData.toString(), client.last())
  await client.subscribeAsync('scram', { qos: 1 })
  for (let i = 0; i < 3; i++) {
    const message = once(client, 'message', patience())
    const proved = once(client, 'proved', patience())
    client.again('ann', 'secret')
    await client.publishAsync('scram', `${i}`, { qos: 1 })
    assert.equal((await message)[1].toString(), `${i}`)
    assert.deepEqual(await proved, [true])
  }
})

test('is refused with a wrong password', async t => {
  const client = start(t, 'ann', 'guess')
  const [error] = await once(client, 'error', patience())
  assert.equal(error.code, 0x87)
})

test('is cut off when it authenticates again as somebody else', async t => {
  const client = start(t, 'ann', 'secret')
  await once(client, 'connect', patience())
  const disconnect = once(client, 'disconnect', patience())
  client.again('bob', 'other')
  assert.equal((await disconnect)[0].reasonCode, 0x87)
})
