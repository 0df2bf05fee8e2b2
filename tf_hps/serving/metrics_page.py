"""The metrics page, at the address that TensorFlow Serving has it."""

from __future__ import annotations

import http.server
import threading

from tf_hps import _library
from tf_hps.metrics_reader import METRICS_PATH as METRICS_PATH


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != METRICS_PATH:
            self.send_error(404, f"there is {METRICS_PATH} here")
            return
        page = _library.load_core().metrics().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        pass  # A scrape every few seconds is no news.


class MetricsPage:
    """TensorFlow's monitoring registry over HTTP, in Prometheus' text format.

    Args:
        host: Where to listen.
        port: 0 takes a free one.
    """

    def __init__(self, host: str, port: int):
        self._server = http.server.ThreadingHTTPServer((host, port), _Handler)
        self._server.daemon_threads = True
        self._thread: threading.Thread | None = None
        self.port = self._server.server_address[1]

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="hps-metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:  # `shutdown` would wait for a loop that never began
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
