"""The server's life: it listens, loads the model, is ready, drains at SIGTERM, ends.

Owns the order of these and the loading thread. Listens at once, so that a supervisor sees it live while the
model loads; starts no Spark and needs no Java.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import threading
from types import FrameType

import uvicorn

from detector.errors import SettingsError
from detector.scoring.scorer import Scorer
from detector.serving.addresses import build_application
from detector.serving.connections import build_protocol
from detector.serving.keys import read_keys
from detector.serving.loading import load_service
from detector.serving.logs import start_logging
from detector.serving.serve_settings import ServeSettings
from detector.serving.service import Service
from detector.serving.state import State

LOG = logging.getLogger("detector.serving")
_KEEP_ALIVE_S = 20


def serve(scorer: Scorer, settings: ServeSettings) -> None:
    """Serve until a signal ends it; the first line of standard output tells where it listens.

    Raises ``SettingsError`` for keys, certificates or an address that can't be used, and what
    ``load_service`` raises.
    """
    state = State(scorer, settings, read_keys(settings))
    start_logging()
    if os.geteuid() == 0:
        LOG.warning(json.dumps({"message": "running as root: give it a user of its own"}))
    config = uvicorn.Config(
        build_application(state),
        http=build_protocol(
            max_connections=settings.max_connections, receive_timeout_s=settings.receive_timeout_s
        ),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.timeout_s + settings.receive_timeout_s) + 1,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    try:
        config.load()
    except OSError as error:  # also ssl's own
        raise SettingsError(f"serve.tls_cert, serve.tls_key: {error}") from None
    listener = _listen(settings)
    server = _Server(config, state, scorer, listener)
    server.run([listener])
    if server.failure is not None:
        raise server.failure


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, state: State, scorer: Scorer, listener: socket.socket) -> None:
        super().__init__(config)
        self.failure: Exception | None = None
        self._state, self._scorer, self._listener = state, scorer, listener
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        scheme = "http" if self._state.settings.tls_cert is None else "https"
        host, port = self._listener.getsockname()[:2]
        address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        print(json.dumps({"listening": address, "model": self._state.name}), flush=True)  # noqa: T201
        threading.Thread(target=self._load, name="load", daemon=True).start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._state.draining = True
        await super().shutdown(sockets)
        if self._state.service is not None:
            self._state.service.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (a signal's handler)
        # Not uvicorn's own: that raises the signal again at the end, and an orderly end is exit code 0.
        if self._state.draining or sig == signal.SIGINT or self._loop is None:
            self.should_exit = True
        self._state.draining = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end_later)

    def _end_later(self) -> None:
        asyncio.get_running_loop().call_later(self._state.settings.drain_s, self._end)

    def _end(self) -> None:
        self.should_exit = True

    def _load(self) -> None:
        try:
            service = load_service(self._scorer, self._state.settings, self._state.metrics)
        except Exception as error:  # noqa: BLE001 (raised again by ``serve``)
            self.failure = error
            self.should_exit = True
            return
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._become_ready, service)

    def _become_ready(self, service: Service) -> None:
        self._state.service = service
        LOG.info(json.dumps({"message": "ready"}))


def _listen(settings: ServeSettings) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        raise SettingsError(f"serve.host {settings.host}, serve.port {settings.port}: {error}") from None
