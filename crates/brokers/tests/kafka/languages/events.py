"""Reads and writes events in Kafka with the CloudEvents library of Python alone.

`events.py read SERVER TOPIC COUNT` prints each as a line of JSON; `events.py write SERVER TOPIC` takes such
lines, and writes each in the mode that it names.
"""

import json
import sys
from datetime import datetime

from cloudevents.core.bindings import kafka as binding
from cloudevents.core.v1.event import CloudEvent
from kafka import KafkaConsumer, KafkaProducer

PATIENCE_MS = 60_000


def shown(record):
    headers = dict(record.headers)
    event = binding.from_kafka_event(binding.KafkaMessage(headers, record.key, record.value))
    attributes = dict(event.get_attributes())
    attributes["time"] = event.get_time().isoformat()
    return {"key": record.key.decode(), "attributes": attributes, "data": event.get_data()}


def read(server, topic, count):
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=server,
        auto_offset_reset="earliest",
        consumer_timeout_ms=PATIENCE_MS,
    )
    for number, record in enumerate(consumer, 1):
        print(json.dumps(shown(record)), flush=True)
        if number == count:
            return


def write(server, topic):
    producer = KafkaProducer(bootstrap_servers=server, acks="all")
    for line in sys.stdin:
        given = json.loads(line)
        attributes = given["attributes"]
        attributes["time"] = datetime.fromisoformat(attributes["time"])
        event = CloudEvent(attributes=attributes, data=given["data"])
        modes = {"binary": binding.to_binary_event, "structured": binding.to_structured_event}
        message = modes[given["mode"]](event)
        sent = producer.send(
            topic,
            key=message.key.encode(),
            value=message.value,
            headers=list(message.headers.items()),
        )
        sent.get(timeout=PATIENCE_MS / 1000)


if sys.argv[1] == "read":
    read(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    write(sys.argv[2], sys.argv[3])
