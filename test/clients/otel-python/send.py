"""Sends numbered records with OpenTelemetry's SDK: send.py PROTOCOL ENDPOINT DEVICE COUNT PER_SECOND"""

import sys
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

protocol, endpoint, device, count, per_second = sys.argv[1:]
if protocol == "grpc":
    exporter = GrpcExporter(endpoint=endpoint, insecure=True)
else:
    exporter = HttpExporter(endpoint=f"http://{endpoint}/v1/logs", compression=Compression.Gzip)
provider = LoggerProvider(resource=Resource.create({"service.instance.id": device, "service.name": "numbers"}))
provider.add_log_record_processor(
    BatchLogRecordProcessor(exporter, schedule_delay_millis=200, max_queue_size=100_000)
)
logger = provider.get_logger("numbers", "1.0")
for number in range(1, int(count) + 1):
    logger.emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.WARN,
            severity_text="warning",
            body=f"record {number}",
            attributes={"number": number, "share": 0.5, "isEven": number % 2 == 0, "list": ["a", "b"]},
        )
    )
    if number % 10 == 0:
        time.sleep(10 / int(per_second))
provider.shutdown()
