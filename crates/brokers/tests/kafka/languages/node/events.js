// Reads and writes events in Kafka with the CloudEvents library of Node alone.
//
// `events.js read SERVER TOPIC COUNT` prints each as a line of JSON; `events.js write SERVER TOPIC` takes such
// lines, and writes each in the mode that it names.

const { CloudEvent, Kafka: binding } = require('cloudevents')
const { Kafka, logLevel } = require('kafkajs')

const [what, server, topic, count] = process.argv.slice(2)
const client = new Kafka({ brokers: [server], logLevel: logLevel.ERROR })

function shown({ key, value, headers }) {
  const text = Object.entries(headers).map(([name, value]) => [name, value.toString()])
  const body = value.toString()
  const event = binding.toEvent({ headers: Object.fromEntries(text), body, value: body })
  const { data, ...attributes } = event.toJSON()
  return { key: key.toString(), attributes, data }
}

async function read() {
  const consumer = client.consumer({ groupId: 'readers' })
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let left = Number(count)
  await new Promise((resolve, reject) => {
    const eachMessage = async ({ message }) => {
      if (left === 0) return
      console.log(JSON.stringify(shown(message)))
      left -= 1
      if (left === 0) resolve()
    }
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    consumer.run({ eachMessage }).catch(reject)
  })
  await consumer.disconnect()
}

async function write() {
  const producer = client.producer()
  await producer.connect()
  for (const line of require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    const { attributes, data, mode } = JSON.parse(line)
    const { key, value, headers } = binding[mode](new CloudEvent({ ...attributes, data }))
    // The library names attributes that are not there, and leaves data as it is.
    const named = Object.fromEntries(Object.entries(headers).filter(([, text]) => text !== undefined))
    const body = typeof value === 'string' ? value : JSON.stringify(value)
    await producer.send({ topic, acks: -1, messages: [{ key, value: body, headers: named }] })
  }
  await producer.disconnect()
}

;(what === 'read' ? read() : write()).catch((error) => {
  console.error(error)
  process.exit(1)
})
