"""Opens connections to a server and starts calls on them."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ._http2 import Call, Connection
from ._signal import within
from ._status import OK, UNAVAILABLE, CallEnd

_Address = tuple[Any, ...]
Token = str | Callable[[], str | Awaitable[str]]

_SERVICE = "/fleetlog.v1.IngestService/"
_CONNECT_SECONDS = 10.0


class Connector:
    """One connection at a time, opened when a call needs it."""

    def __init__(
        self,
        address: str,
        tls: ssl.SSLContext | bool,
        token: Token | None,
        metadata: Mapping[str, str],
        use_gzip: bool,
    ) -> None:
        self._host, self._port = parse_address(address)
        self._authority = address if address.endswith(f":{self._port}") else f"{address}:{self._port}"
        self._tls = ssl.create_default_context() if tls is True else tls or None
        if self._tls is not None:
            self._tls.set_alpn_protocols(["h2"])
        self._token = token
        self._metadata = [(name.lower(), value) for name, value in metadata.items()]
        self._use_gzip = use_gzip
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    @property
    def can_renew_token(self) -> bool:
        return callable(self._token)

    async def call(self, method: str) -> Call:
        """Starts a call; every failure is a CallEnd."""
        try:
            headers = await self._headers(method)
            async with self._opening:
                if self._connection is None or not self._connection.is_usable:
                    self._connection = await self._connect()
            return self._connection.call(headers, self._use_gzip)
        except OSError as error:
            raise CallEnd(UNAVAILABLE, f"{self._authority} cannot be reached: {error}") from error

    async def unary(self, method: str, request: bytes, timeout: float) -> bytes:
        """Raises CallEnd or asyncio.TimeoutError."""
        return await within(timeout, self._unary(method, request))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _unary(self, method: str, request: bytes) -> bytes:
        call = await self.call(method)
        try:
            await call.send(request)
            call.finish()
            response = await call.receive()
            try:
                await call.receive()
            except CallEnd as end:
                if end.code != OK:
                    raise
            return response
        finally:
            call.cancel("done")

    async def _headers(self, method: str) -> list[tuple[str, str]]:
        headers = [
            (":method", "POST"),
            (":scheme", "http" if self._tls is None else "https"),
            (":path", _SERVICE + method),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "fleetlog-python/0.1.0"),
            ("grpc-accept-encoding", "identity"),
            *([("grpc-encoding", "gzip")] if self._use_gzip else []),
            *self._metadata,
        ]
        if self._token is not None:
            headers.append(("authorization", f"Bearer {await self._read_token(self._token)}"))
        return headers

    async def _read_token(self, token: Token) -> str:
        if isinstance(token, str):
            return token
        try:
            made = token()
            return await made if inspect.isawaitable(made) else made
        except Exception as error:  # a hook's failure is temporary, whatever it is
            raise CallEnd(UNAVAILABLE, f"the token hook failed: {error!r}") from error

    async def _connect(self) -> Connection:
        failure: OSError | None = None
        for family, address in await self._resolve():
            try:
                return await within(_CONNECT_SECONDS, self._connect_to(family, address))
            except asyncio.TimeoutError:
                failure = OSError(f"no answer within {_CONNECT_SECONDS:.0f} s")
            except OSError as error:
                failure = error
        raise failure or OSError(f"{self._host} has no address")

    async def _connect_to(self, family: int, address: _Address) -> Connection:
        loop = asyncio.get_running_loop()
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            transport, connection = await loop.create_connection(
                lambda: Connection(sock),
                sock=sock,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        except BaseException:
            sock.close()
            raise
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            connection.close()
            raise OSError("the server does not speak HTTP/2 over TLS (ALPN h2)")
        return connection

    async def _resolve(self) -> list[tuple[int, _Address]]:
        """The addresses of the host. At the exit of the interpreter no executor accepts work: it blocks the loop."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM
            )
        except RuntimeError:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return [(family, address) for family, *_, address in found]


def parse_address(address: str, default_port: int = 50051) -> tuple[str, int]:
    """Reads host:port, [IPv6]:port or host."""
    host, colon, port = address.rpartition(":")
    if not colon or "]" in port:
        host, port = address, str(default_port)
    is_bare_ipv6 = ":" in host and not host.startswith("[")
    if is_bare_ipv6 or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"address {address!r}: expected host:port, such as logs.example.com:50051")
    return host.removeprefix("[").removesuffix("]"), int(port)
