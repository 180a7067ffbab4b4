"""Loyalty points beside a till: publishes purchases over HTTP, is told of them by push, and keeps points in a PostgreSQL,
with an event for each change in the same transaction."""

import json
import os
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from fastapi import FastAPI, HTTPException, Path, Request, Response
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field
from standardwebhooks import Webhook, WebhookVerificationError

WON_PER_POINT = 100
WEBHOOK = Webhook(os.environ["POINTS_SECRET"])
YEOUL = httpx.AsyncClient(base_url=os.environ.get("YEOUL_URL", "http://127.0.0.1:8089"))
DATABASE = AsyncConnectionPool(os.environ["DATABASE_URL"], open=False)


@asynccontextmanager
async def lifespan(_: FastAPI):
    async with DATABASE, YEOUL:
        yield


app = FastAPI(lifespan=lifespan)
NAME = r"^\P{Cc}{1,100}$"
Id = Annotated[str, Path(pattern=NAME)]
Name = Annotated[str, Field(pattern=NAME)]
Amount = Annotated[int, Field(ge=1, le=1_000_000_000)]


class Purchase(BaseModel):
    customer: Name
    won: Amount


class Redemption(BaseModel):
    customer: Name
    points: Amount


@app.put("/purchases/{id}", status_code=202, response_class=Response)
async def publish_purchase(id: Id, purchase: Purchase):
    """The client's id is the event's: whoever asks again because no answer came publishes nothing twice."""
    event = CloudEvent(
        {"id": id, "source": "/till", "type": "Purchased", "subject": purchase.customer,
         "datacontenttype": "application/json"},
        purchase.model_dump(),
    )
    message = http.to_structured_event(event)
    try:
        answer = await YEOUL.post("/events/purchase", content=message.body, headers=message.headers)
    except httpx.TransportError:
        raise HTTPException(503, "the purchase is not published: ask again", {"Retry-After": "1"})
    if answer.is_error:
        wait = {"Retry-After": answer.headers.get("Retry-After", "1")}
        raise HTTPException(answer.status_code, answer.text, wait)


@app.post("/events", status_code=204)
async def receive(request: Request):
    """2xx acknowledges; whatever else this answers, the event comes again."""
    body = await request.body()
    try:
        WEBHOOK.verify(body, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise HTTPException(401, str(error))
    event = http.from_binary_event(http.HTTPMessage(dict(request.headers), body))
    if event.get_type() == "Purchased":  # publishers add kinds: others are none of our business
        purchase = Purchase.model_validate(event.get_data())
        # Of the attributes only the id is signed, as the webhook's.
        await earn(request.headers["webhook-id"], purchase.customer, purchase.won // WON_PER_POINT)


async def earn(event: str, customer: str, points: int):
    async with DATABASE.connection() as connection:  # commits, or rolls back if anything is raised
        if not await is_new(connection, event):
            return
        changed = await connection.execute(
            "INSERT INTO account VALUES (%s, %s) ON CONFLICT (customer)"
            " DO UPDATE SET points = account.points + excluded.points RETURNING points",
            (customer, points),
        )
        (balance,) = await changed.fetchone()
        await publish(connection, "PointsEarned", customer, points, balance)


@app.put("/redemptions/{id}", status_code=204)
async def redeem(id: Id, redemption: Redemption):
    customer, points = redemption.customer, redemption.points
    async with DATABASE.connection() as connection:
        if not await is_new(connection, f"redemption/{id}"):
            return
        changed = await connection.execute(
            "UPDATE account SET points = points - %s WHERE customer = %s AND points >= %s RETURNING points",
            (points, customer, points),
        )
        if not (row := await changed.fetchone()):
            raise HTTPException(409, "there are not so many points")
        await publish(connection, "PointsSpent", customer, points, row[0])


async def is_new(connection, what: str) -> bool:
    """Notes it, in the transaction of its effect."""
    noted = await connection.execute("INSERT INTO handled VALUES (%s) ON CONFLICT DO NOTHING", (what,))
    return noted.rowcount == 1


async def publish(connection, kind: str, customer: str, points: int, balance: int):
    """An event by SQL, last in its transaction: until that is over nobody else publishes in its partition."""
    data = json.dumps({"customer": customer, "points": points, "balance": balance})
    await connection.execute(
        "INSERT INTO yeoul_outbox (topic, key, type, data) VALUES ('points', %s, %s, %s)",
        (customer, kind, data),
    )


@app.get("/customers/{customer}")
async def show(customer: str):
    async with DATABASE.connection() as connection:
        account = await connection.execute("SELECT points FROM account WHERE customer = %s", (customer,))
        row = await account.fetchone()
        notices = await connection.execute(
            "SELECT text FROM notice WHERE customer = %s ORDER BY number", (customer,))
        texts = [text for (text,) in await notices.fetchall()]
    return {"customer": customer, "points": row[0] if row else 0, "notices": texts}
