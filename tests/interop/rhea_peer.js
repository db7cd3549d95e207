// What the programs share whose peer is rhea, an AMQP 1.0 client.

'use strict'

const rhea = require('rhea')

const PATIENCE_MS = 60000
const HOST = '127.0.0.1'

// The next EVENT of EMITTER.
function next (emitter, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} came`)), PATIENCE_MS)
    emitter.once(event, context => {
      clearTimeout(timer)
      resolve(context)
    })
  })
}

// A connection, until the test T ends, to who is at the environment variable PORT.
async function connect (t, options = {}) {
  const connection = rhea.create_container().connect({
    host: HOST, port: Number(process.env.PORT), username: 'anonymous', reconnect: false, ...options
  })
  connection.on('connection_error', () => {})
  connection.on('disconnected', () => {})
  connection.on('error', error => { connection.failure = error })
  t.after(() => connection.close())
  await next(connection, 'connection_open')
  return connection
}

module.exports = { HOST, PATIENCE_MS, connect, next }
