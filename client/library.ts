// The public API of the package fleetlog-client: see dev/client-package/README.md.

export { DeviceLog } from "#client/device-log.ts";
export { SpoolError, type SpoolOptions } from "#client/spool/spool.ts";
export { DeviceStream, type SentBatch } from "#client/stream/device-stream.ts";
export { DeviceStreamError } from "#client/stream/device-stream-error.ts";
export type { DeviceStreamEvents, DeviceStreamOptions } from "#client/stream/device-stream-options.ts";
export { type DeviceInfo, type DeviceRecord, encodeRecord } from "#client/stream/record.ts";
export { ConnectTransport, type ConnectTransportOptions } from "#client/transports/connect-transport.ts";
export { openChannel } from "#client/transports/grpc-channel.ts";
export { type TlsFiles, tlsCredentials } from "#client/transports/tls-credentials.ts";
export type { Ack, BatchError, Rejection } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
export { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
