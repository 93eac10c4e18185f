"""A peer of StreamLogs on a real socket that answers as a test demands."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived

from fleetlog.v1 import ingest_pb2, log_pb2


class Peer:
    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.requests: list[ingest_pb2.StreamLogsRequest] = []
        # The status with which a stream ends at once, by its headers; None serves it.
        self.refuse: Callable[[dict[str, str]], int | None] = lambda headers: None
        # The error of a batch; None acknowledges it.
        self.refuse_batch: Callable[[log_pb2.LogBatch], ingest_pb2.BatchError | None] = lambda batch: None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Peer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        unread = bytearray()
        refused: set[int | None] = set()
        while data := await reader.read(65_536):
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                    self.headers.append(headers)
                    status = self.refuse(headers)
                    answer = [(":status", "200"), ("content-type", "application/grpc")]
                    if status is not None:
                        refused.add(event.stream_id)
                        answer.append(("grpc-status", str(status)))
                    h2.send_headers(event.stream_id, answer, end_stream=status is not None)
                elif isinstance(event, DataReceived) and event.stream_id not in refused:
                    unread += event.data
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    while len(unread) >= 5 and len(unread) >= (end := 5 + int.from_bytes(unread[1:5], "big")):
                        body = bytes(unread[5:end])
                        request = ingest_pb2.StreamLogsRequest.FromString(gzip.decompress(body) if unread[0] else body)
                        del unread[:end]
                        self.requests.append(request)
                        error = self.refuse_batch(request.batch)
                        accepted = len(request.batch.records) if error is None else 0
                        ack = ingest_pb2.Ack(sequence=request.batch.sequence, accepted=accepted, error=error)
                        response = ingest_pb2.StreamLogsResponse(ack=ack).SerializeToString()
                        h2.send_data(event.stream_id, b"\0" + len(response).to_bytes(4, "big") + response)
            writer.write(h2.data_to_send())
        writer.close()
