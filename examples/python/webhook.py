#!/usr/bin/env python3
"""The endpoint of a webhook: verifies what is posted, and prints it once.

    WEBHOOK_SECRET=whsec_... python3 webhook.py
    rookery webhook create --identity KEY http://127.0.0.1:8080/
"""
import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 300  # seconds


def verify(headers, body):
    """Gives the id of the event, or raises ValueError."""
    event, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if abs(time.time() - int(stamp)) > TOLERANCE:
        raise ValueError("too old, or too new")
    want = base64.b64encode(hmac.new(KEY, f"{event}.{stamp}.".encode() + body, hashlib.sha256).digest())
    for one in headers.get("webhook-signature", "").split():
        version, _, signature = one.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), want):
            return event
    raise ValueError("not signed with our secret")


seen = set()  # what must not be done twice belongs into a database


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event_id = verify(self.headers, body)
        except ValueError as error:
            self.send_error(401, str(error))
            return
        if event_id not in seen:
            event = json.loads(body)
            text = base64.b64decode(event.get("payload", "")).decode(errors="replace")
            print(event["type"], event.get("contact", ""), text, flush=True)
            seen.add(event_id)
        self.send_response(204)  # only now: it does not come again
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Endpoint)
print("listening on", server.server_port, flush=True)
server.serve_forever()
