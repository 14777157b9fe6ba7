"""Reads requests, lets faults happen to them, and finds the functions that answer."""

from __future__ import annotations

import json
import socket
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.hub_server import (  # noqa: F401  (each registers its routes)
    admin,
    collections,
    downloads,
    identity,
    repositories,
    uploads,
)
from tests.support.hub_server.hub import TOKENS, Hub
from tests.support.hub_server.routing import ROUTES, Fault, Refused, Reply, Request


class Dropped(Exception):
    """The connection is to be cut now."""


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets a fault happen to it if one is due, and finds the function that answers it."""

    protocol_version = "HTTP/1.1"
    server_version = "HubForTests"
    disable_nagle_algorithm = True
    wbufsize = -1
    hub: Hub
    url: str

    def log_message(self, format, *args):
        """Nothing: the requests are kept for `/_admin/requests`."""

    def serve(self) -> None:
        path = urlsplit(self.path).path
        fault, record = None, {}
        if not path.startswith("/_admin/"):
            record |= {"method": self.command, "path": self.path, "status": None, "user": None, "received": 0}
            with self.hub.lock:
                self.hub.requests.append(record)
            fault = self.hub.take_fault(self.command, unquote(self.path))
        try:
            reply = self.answer(path, fault, record)
            record["status"] = reply.status
            self.send(reply, fault)
        except Dropped:
            self.cut()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = serve

    def answer(self, path: str, fault: Fault | None, record: dict) -> Reply:
        body = b""
        for chunk in self.read_body():
            body += chunk
            record["received"] = len(body)
            if fault is not None and fault.drop_after_bytes is not None and len(body) >= fault.drop_after_bytes:
                raise Dropped
        if fault is not None:
            time.sleep(fault.delay)
            if fault.drop_after_bytes is not None:
                raise Dropped
            if fault.status is not None:
                return Reply(fault.status, fault.body.encode(), dict(fault.headers))
        try:
            request = self.request_of(path, body)
            record["user"] = request.user
            method = "GET" if self.command == "HEAD" else self.command
            for allowed, pattern, function in ROUTES:
                match = pattern.fullmatch(path)
                if allowed == method and match is not None:
                    groups = {name: value and unquote(value) for name, value in match.groupdict().items()}
                    with self.hub.lock:
                        return function(self.hub, request, **groups)
            raise Refused(404, f"Sorry, we can't find the page you are looking for: {method} {path}")
        except Refused as refused:
            return refused.reply
        except Exception:
            traceback.print_exc()
            return Reply(500, {"error": "Internal Error - We're working hard to fix this as soon as possible!"})

    def request_of(self, path: str, body: bytes) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        user = role = None
        if (authorization := headers.get("authorization")) is not None:
            if authorization.removeprefix("Bearer ") not in TOKENS:
                raise Refused(401, "Invalid credentials in Authorization header")
            user, role = TOKENS[authorization.removeprefix("Bearer ")]
        query = parse_qs(urlsplit(self.path).query)
        return Request(self.command, path, query, headers, body, user, role, self.url)

    def read_body(self, at_once: int = 4096) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        remaining = int(self.headers.get("Content-Length", 0))
        while remaining > 0:
            chunk = self.rfile.read(min(at_once, remaining))
            if not chunk:
                raise Dropped
            remaining -= len(chunk)
            yield chunk

    def send(self, reply: Reply, fault: Fault | None) -> None:
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", **reply.headers}
        self.send_response(reply.status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            if fault is not None and fault.cut_after_bytes is not None:
                self.wfile.write(content[: fault.cut_after_bytes])
                self.wfile.flush()
                raise Dropped
            self.wfile.write(content)
        self.wfile.flush()

    def cut(self) -> None:
        """End the connection as a failing network does, without a word."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
