#!/usr/bin/env python3
"""A bot that sends back what it is told, with nothing but the standard library.

    rookery token create --identity KEY
    ROOKERY_TOKEN=... ROOKERY_IDENTITY=KEY python3 echo.py
"""
import json
import os
import time
import urllib.error
import urllib.request

URL = os.environ.get("ROOKERY_URL", "http://127.0.0.1:7330")
TOKEN = os.environ["ROOKERY_TOKEN"]
IDENTITY = os.environ["ROOKERY_IDENTITY"]


def request(path, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json", **(headers or {})}
    # A stream says something at least every 15 seconds.
    return urllib.request.urlopen(urllib.request.Request(URL + path, data, headers), timeout=60)


def call(method, **body):
    with request("/rookery.api.v1." + method, {"identity": IDENTITY, **body}) as answer:
        return json.load(answer)


def events():
    """Gives events for ever; what was not acknowledged comes again."""
    cursor = ""
    while True:
        try:
            with request("/v1/events?identity=" + IDENTITY, headers={"Last-Event-ID": cursor}) as stream:
                for line in stream:
                    if line.startswith(b"event: end"):
                        break
                    if line.startswith(b"data: "):
                        event = json.loads(line[len(b"data: "):])
                        yield event
                        cursor = event["cursor"]
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404):
                raise
        except OSError:
            pass
        time.sleep(1)


for event in events():
    if event["type"] == "EVENT_TYPE_CONTACT_REQUEST":
        try:
            call("ContactService/AcceptContact", contact=event["contact"])
        except urllib.error.HTTPError as error:
            if error.code != 400:  # it was accepted before
                raise
    if event["type"] in ("EVENT_TYPE_CONTACT_REQUEST", "EVENT_TYPE_MESSAGE"):
        # The key makes it one answer, even if this process ends before it acknowledges.
        call("MessageService/Send", to=event["contact"], payload=event["payload"], idempotencyKey="echo " + event["id"])
        call("EventService/AckEvents", ids=[event["id"]])
