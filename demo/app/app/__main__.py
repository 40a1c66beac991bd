"""A page that tells where it runs and how often it was asked; the count is kept on a volume."""

import os
import pathlib
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNT = pathlib.Path("/data/count")


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            seen = int(COUNT.read_text()) + 1
        except (OSError, ValueError):
            seen = 1
        try:
            COUNT.write_text(str(seen))
        except OSError as error:
            sys.stderr.write(f"cannot keep the count: {error}\n")
        body = (
            f"hello from {socket.gethostname()}, version {os.environ['VERSION']},"
            f" visit {seen}, uid {os.getuid()}\n"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stop(number, frame):
    print("stopping", flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
port = int(os.environ["PORT"])
print(f"serving on port {port}", flush=True)
ThreadingHTTPServer(("", port), Page).serve_forever()
