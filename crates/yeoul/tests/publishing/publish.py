"""Publishes events over HTTP with the CloudEvents library of Python alone, and reads them back with it.

`publish.py URL` publishes one event in binary and one in structured mode, and prints where they are; `publish.py read`
takes a batch, as a topic is read, and prints each event as the library has it.
"""

import json
import sys
from datetime import datetime, timezone
from urllib.request import Request, urlopen

from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def event(number, data, content_type):
    return CloudEvent(
        attributes={
            "id": f"python-{number}",
            "source": "https://shop.example/계산대",
            "type": "Paid",
            "subject": '영수증 "9" 100%',
            "time": datetime(2026, 11, 27, 8, 31, 0, 120000, tzinfo=timezone.utc),
            "datacontenttype": content_type,
            "tenant": "가게 7",
        },
        data=data,
    )


def publish(url):
    messages = [
        http.to_binary_event(event(1, {"원": 12000}, "application/json")),
        http.to_binary_event(event(2, b"\x00\xff", "application/octet-stream")),
        http.to_structured_event(event(3, {"원": 12000}, "application/json")),
        http.to_structured_event(event(4, b"\x00\xff", "application/octet-stream")),
    ]
    for message in messages:
        with urlopen(Request(url, data=message.body, headers=message.headers)) as answer:
            print(json.load(answer)["position"])


def read():
    for one in json.load(sys.stdin):
        seen = JSONFormat().read(CloudEvent, json.dumps(one))
        data = seen.get_data()
        print(json.dumps({
            "id": seen.get_id(),
            "subject": seen.get_subject(),
            "source": seen.get_source(),
            "time": seen.get_time().isoformat(),
            "tenant": seen.get_extension("tenant"),
            "data": list(data) if isinstance(data, bytes) else data,
        }))


read() if sys.argv[1] == "read" else publish(sys.argv[1])
