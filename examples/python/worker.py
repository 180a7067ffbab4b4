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
    connection.execute("SELECT 1")  # nothing is fetched that could not be handled
    answer = ask("pull", limit=10, wait_s=20, lease_s=5)
    lease, failed = answer.headers.get("Yeoul-Lease"), set()
    for one in answer.json():
        if one.get("subject") in failed:
            continue  # it left the lease with the one before it, behind which it comes again
        try:
            notify(connection, JSONFormat().read(CloudEvent, json.dumps(one)))
        except Exception as error:
            if is_away(error):  # no event's fault: all that is left is given back, and no attempt is used up
                ask("nack", lease=lease, mode="silent")
                raise
            failed.add(one.get("subject"))
            ask("nack", lease=lease, ids=[one["id"]], reason=str(error)[:200])
        else:
            ask("ack", lease=lease, ids=[one["id"]])


def is_away(error: Exception) -> bool:
    """The database failed, and not what was asked of it: no connection, or PostgreSQL ends, starts or is full."""
    of_the_database = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return of_the_database and (error.sqlstate or "08").startswith(("08", "53", "57P"))


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
