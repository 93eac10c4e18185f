"""gRPC calls over HTTP/2, on asyncio and h2 alone.

Without threads and without state outside of the event loop, unlike grpcio: a process may fork at any moment and use a
new connection in the child, and every thread may run a loop of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import struct
import weakref
from collections.abc import Sequence

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes

from ._signal import Signal
from ._status import INTERNAL, UNAVAILABLE, CallEnd, end_by_http, end_by_trailers

_FRAME_HEAD_BYTES = 9
_FRAME_BYTES_MAX = 16_384
_GOAWAY = 7
_WINDOW_BYTES = 1 << 20
_MESSAGE_HEAD_BYTES = 5
# A response is at most 1 KiB, the answer of GetSession 50 KiB.
_MESSAGE_BYTES_MAX = 1 << 20
_COMPRESSED_BYTES_MIN = 256
_PING_AFTER_SECONDS = 30.0
_DEAD_AFTER_SECONDS = 40.0

Headers = Sequence[tuple[str, str]]


class Connection(asyncio.Protocol):
    """One HTTP/2 connection. Use it on the loop that created it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, Call] = {}
        self._input = bytearray()
        self._received_at = self._loop.time()
        self._keepalive: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._is_paused = False
        self.writable = Signal()
        _connections.add(self)

    @property
    def is_usable(self) -> bool:
        """Whether it accepts another call."""
        return self._transport is not None and not self._is_draining

    def call(self, headers: Headers, use_gzip: bool) -> Call:
        """Starts a call; raises CallEnd when the connection cannot carry another."""
        try:
            stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream_id, headers)
        except H2Error as error:
            raise CallEnd(UNAVAILABLE, f"no further call on this connection: {error}") from error
        call = Call(self, stream_id, use_gzip)
        self._calls[stream_id] = call
        self.flush()
        return call

    def close(self) -> None:
        self._h2.close_connection()
        self.flush()
        self._lose("the connection is closed")

    def abandon(self) -> None:
        """In the child of a fork: the socket is the parent's, and nothing may be written to it."""
        self._transport = None
        self._socket.close()

    # What a call uses.

    def frame_size(self, stream_id: int) -> int:
        """How many bytes the peer and the socket accept now."""
        if self._is_paused:
            return 0
        window = self._h2.local_flow_control_window(stream_id)
        return max(0, min(window, self._h2.max_outbound_frame_size))

    def send_data(self, stream_id: int, data: bytes) -> None:
        self._h2.send_data(stream_id, data)

    def end_data(self, stream_id: int) -> None:
        self._h2.end_stream(stream_id)
        self.flush()

    def release(self, stream_id: int, byte_count: int) -> None:
        """Lets the peer send more; not needed once the stream is closed."""
        try:
            self._h2.acknowledge_received_data(byte_count, stream_id)
        except H2Error:
            return
        self.flush()

    def retire(self) -> None:
        """Carries no further call, and closes after the last one."""
        self._is_draining = True
        self._close_if_drained()

    def reset(self, stream_id: int) -> None:
        self._forget(stream_id)
        try:
            self._h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        except H2Error:
            return  # the stream is closed already
        self.flush()

    def flush(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing() and (data := self._h2.data_to_send()):
            transport.write(data)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.local_settings.update(
            {SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES}
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW_BYTES)
        self.flush()
        self._check_peer()

    def data_received(self, data: bytes) -> None:
        self._received_at = self._loop.time()
        self._input += data
        try:
            while (frame := self._next_frame()) is not None:
                if not self._drain(frame):
                    for event in self._h2.receive_data(frame):
                        self._handle(event)
        except (H2Error, ValueError) as error:
            self.flush()
            self._lose(f"the server broke the protocol: {error}")
            return
        self.flush()
        self.writable.notify()

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(f"the connection was lost: {error}" if error else "the server closed the connection")

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self.writable.notify()

    def _next_frame(self) -> bytes | None:
        if len(self._input) < _FRAME_HEAD_BYTES:
            return None
        size = int.from_bytes(self._input[:3], "big")
        if size > _FRAME_BYTES_MAX:
            raise ValueError(f"a frame of {size} bytes, the limit is {_FRAME_BYTES_MAX}")
        end = _FRAME_HEAD_BYTES + size
        if len(self._input) < end:
            return None
        frame = bytes(self._input[:end])
        del self._input[:end]
        return frame

    def _drain(self, frame: bytes) -> bool:
        """Handles a graceful GOAWAY: open calls may end in peace. (h2 would refuse their frames after it.)"""
        if frame[3] != _GOAWAY or len(frame) < _FRAME_HEAD_BYTES + 8:
            return False
        last_stream_id, code = struct.unpack_from(">II", frame, _FRAME_HEAD_BYTES)
        if code != ErrorCodes.NO_ERROR:
            return False
        for stream_id in [each for each in self._calls if each > last_stream_id & 0x7FFFFFFF]:
            self._end(stream_id, CallEnd(UNAVAILABLE, "the server is going away (GOAWAY)"))
        self.retire()
        return True

    def _handle(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            raise ValueError(f"the server is going away (GOAWAY) with error {event.error_code}")
        if isinstance(event, DataReceived):
            call = self._calls.get(event.stream_id)
            if call is None:
                self.release(event.stream_id, event.flow_controlled_length)
            else:
                call.on_data(event.data, event.flow_controlled_length)
        elif isinstance(event, ResponseReceived):
            headers = _to_map(event.headers)
            status, content_type = int(headers.get(":status", "0")), headers.get("content-type", "")
            if "grpc-status" in headers:
                self._end(event.stream_id, end_by_trailers(headers))
            elif status != 200 or not content_type.startswith("application/grpc"):
                self._end(event.stream_id, end_by_http(status, content_type))
                self.reset(event.stream_id)
        elif isinstance(event, TrailersReceived):
            self._end(event.stream_id, end_by_trailers(_to_map(event.headers)))
        elif isinstance(event, StreamEnded):
            self._end(event.stream_id, CallEnd(UNAVAILABLE, "the server ended the call without a status"))
        elif isinstance(event, StreamReset):
            reason = f"the server reset the call with error {event.error_code}"
            self._end(event.stream_id, CallEnd(UNAVAILABLE, reason))

    def _end(self, stream_id: int, end: CallEnd) -> None:
        call = self._calls.get(stream_id)
        if call is not None:
            call.on_end(end)
            self._forget(stream_id)

    def _forget(self, stream_id: int) -> None:
        self._calls.pop(stream_id, None)
        self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self._is_draining and not self._calls:
            self._loop.call_soon(self._lose, "the server is going away (GOAWAY)")

    def _lose(self, reason: str) -> None:
        transport, self._transport = self._transport, None
        if self._keepalive is not None:
            self._keepalive.cancel()
        for call in list(self._calls.values()):
            call.on_end(CallEnd(UNAVAILABLE, reason))
        self._calls.clear()
        self.writable.notify()
        _connections.discard(self)
        if transport is not None:
            transport.close()

    def _check_peer(self) -> None:
        """Notices a peer that vanished without a word, for example by a loss of power."""
        silent_seconds = self._loop.time() - self._received_at
        if silent_seconds >= _DEAD_AFTER_SECONDS:
            if self._transport is not None:
                self._transport.abort()
            self._lose(f"the server was silent for {silent_seconds:.0f} s")
            return
        if silent_seconds >= _PING_AFTER_SECONDS:
            self._h2.ping(bytes(8))
            self.flush()
        self._keepalive = self._loop.call_later(_DEAD_AFTER_SECONDS - _PING_AFTER_SECONDS, self._check_peer)


class Call:
    """One gRPC call: messages in both directions until it ends."""

    def __init__(self, connection: Connection, stream_id: int, use_gzip: bool) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._use_gzip = use_gzip
        self._input = bytearray()
        self._unreleased = 0
        self._end: CallEnd | None = None
        self._readable = Signal()

    @property
    def has_input(self) -> bool:
        return len(self._input) > 0

    async def send(self, message: bytes) -> None:
        """Returns when the message is handed to the socket; raises CallEnd when the call has ended."""
        is_compressed = self._use_gzip and len(message) >= _COMPRESSED_BYTES_MIN
        body = gzip.compress(message, 6, mtime=0) if is_compressed else message
        data = struct.pack(">?I", is_compressed, len(body)) + body
        connection, at = self._connection, 0
        while at < len(data):
            await connection.writable.until(lambda: self._end is not None or self._frame_size() > 0)
            while at < len(data) and self._end is None and (size := self._frame_size()) > 0:
                connection.send_data(self._stream_id, data[at : at + size])
                at += size
            connection.flush()
            if self._end is not None:
                raise self._end

    def finish(self) -> None:
        """Sends no further message; the server then ends the call."""
        if self._end is None:
            self._connection.end_data(self._stream_id)

    async def receive(self) -> bytes:
        """Returns the next message; raises CallEnd after the last one."""
        await self._readable.until(lambda: self._end is not None or self._has_message())
        if not self._has_message():
            assert self._end is not None
            raise self._end
        end = _MESSAGE_HEAD_BYTES + self._message_size()
        is_compressed, message = self._input[0] != 0, bytes(self._input[_MESSAGE_HEAD_BYTES:end])
        del self._input[:end]
        self._release()
        if is_compressed:
            self.cancel("the server compressed a response, which was not asked for", INTERNAL)
            raise self._end or CallEnd(INTERNAL, "")
        return message

    def cancel(self, reason: str, code: int = UNAVAILABLE) -> None:
        """Ends the call at once; what was received and not read is discarded."""
        self._input.clear()
        self.on_end(CallEnd(code, reason))
        self._connection.reset(self._stream_id)

    def retire_connection(self) -> None:
        """The next call gets a new connection."""
        self._connection.retire()

    def on_data(self, data: bytes, flow_controlled_bytes: int) -> None:
        self._input += data
        self._unreleased += flow_controlled_bytes
        if len(self._input) >= _MESSAGE_HEAD_BYTES and self._message_size() > _MESSAGE_BYTES_MAX:
            self.cancel(f"the server sent a message of {self._message_size()} bytes")
            return
        self._release()
        self._readable.notify()

    def on_end(self, end: CallEnd) -> None:
        self._end = self._end or end
        self._readable.notify()
        self._connection.writable.notify()

    def _release(self) -> None:
        """Grants the peer more only while little is unread, which bounds the memory."""
        if self._unreleased > 0 and len(self._input) <= _MESSAGE_BYTES_MAX + _MESSAGE_HEAD_BYTES:
            byte_count, self._unreleased = self._unreleased, 0
            self._connection.release(self._stream_id, byte_count)

    def _frame_size(self) -> int:
        return self._connection.frame_size(self._stream_id)

    def _message_size(self) -> int:
        return int.from_bytes(self._input[1:_MESSAGE_HEAD_BYTES], "big")

    def _has_message(self) -> bool:
        size = len(self._input) - _MESSAGE_HEAD_BYTES
        return size >= 0 and size >= self._message_size()


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


def _abandon_all() -> None:
    for connection in list(_connections):
        connection.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)


def _to_map(headers: object) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in headers}  # type: ignore[attr-defined]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
