"""Writes a notice for each change of a customer's points, fetching the events from Yeoul. Any number of these may run."""

import json
import logging
import os
import time

import httpx
import psycopg
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

TEXTS = {
    "PointsEarned": "You earned {points} points and have {balance} now.",
    "PointsSpent": "You spent {points} points and have {balance} left.",
}
YEOUL = httpx.Client(base_url=os.environ.get("YEOUL_URL", "http://127.0.0.1:8089"), timeout=30)


def ask(what: str, **said) -> httpx.Response:
    return YEOUL.post(f"/subscriptions/notify/{what}", json=said).raise_for_status()


def work(connection: psycopg.Connection):
    """One lease: what is in it is this worker's for so long, and of its keys nobody else has any."""
    answer = ask("pull", limit=10, wait_s=20, lease_s=5)
    lease, failed = answer.headers.get("Yeoul-Lease"), set()
    for one in answer.json():
        event = JSONFormat().read(CloudEvent, json.dumps(one))
        if event.get_subject() in failed:
            continue  # it left the lease with the one before it, behind which it comes again
        try:
            notify(connection, event)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise  # no event's fault: the lease ends by itself
        except Exception as error:
            failed.add(event.get_subject())
            ask("nack", lease=lease, ids=[event.get_id()], reason=str(error)[:200])
        else:
            ask("ack", lease=lease, ids=[event.get_id()])


def notify(connection: psycopg.Connection, event: CloudEvent):
    with connection.transaction():
        what = f"{event.get_source()}/{event.get_id()}"
        noted = connection.execute("INSERT INTO handled VALUES (%s) ON CONFLICT DO NOTHING", (what,))
        if noted.rowcount == 1 and (text := TEXTS.get(event.get_type())):
            data = event.get_data()
            connection.execute(
                "INSERT INTO notice (customer, text) VALUES (%s, %s)",
                (data["customer"], text.format(**data)),
            )


while True:
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            while True:
                work(connection)
    except (httpx.HTTPError, psycopg.Error) as error:  # either is away, or the lease has ended
        logging.warning("asked again in a second: %s", error)
        time.sleep(1)
