"""A service in Python that publishes by SQL: its rows and its events in one transaction.

    writer.py ADDRESS NAME TRANSACTIONS KEY...

Every fifth transaction is rolled back. One that a deadlock ended is done again, whole; how many were is printed.
"""

import json
import sys
import time

import psycopg

address, name, transactions, *keys = sys.argv[1:]
again = 0


def work(connection, at):
    connection.execute("INSERT INTO work VALUES (%s, %s)", (name, at))
    for key in keys:
        data = json.dumps({"by": name, "at": at, "key": key})
        connection.execute(
            "INSERT INTO yeoul_outbox (topic, key, type, data) VALUES (%s, %s, %s, %s)",
            ("order", key, "OrderPlaced", data),
        )
        # Time for another writer to come from the other side.
        time.sleep(0.002)


with psycopg.connect(address, autocommit=True) as connection:
    for at in range(int(transactions)):
        while True:
            try:
                with connection.transaction():
                    work(connection, at)
                    if at % 5 == 4:
                        raise psycopg.Rollback()
                break
            except psycopg.errors.DeadlockDetected:
                again += 1

print(again)
