"""Fetches events over HTTP and reads them with the CloudEvents library of Python alone: `pull.py URL` prints each event of
one lease, acknowledges them, and prints how many that were."""

import json
import sys
from urllib.request import Request, urlopen

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def ask(what, body):
    url = f"{sys.argv[1]}/subscriptions/bill/{what}"
    headers = {"content-type": "application/json"}
    return urlopen(Request(url, json.dumps(body).encode(), headers))


with ask("pull", {"limit": 10, "wait_s": 5}) as answer:
    lease, events = answer.headers["yeoul-lease"], json.load(answer)
for one in events:
    event = JSONFormat().read(CloudEvent, json.dumps(one))
    data, attempt = event.get_data(), event.get_extension("yeoulattempt")
    print(event.get_id(), event.get_source(), event.get_subject(), data["won"], attempt)
ids = [event["id"] for event in events]
with ask("ack", {"lease": lease, "ids": ids}) as answer:
    print(json.load(answer)["acknowledged"])
