import { type ChannelCredentials, Client, compressionAlgorithms, credentials } from "@grpc/grpc-js";

/**
 * A gRPC channel as one device uses it; connects when the first call is made. Default address 127.0.0.1:50051. With
 * `compression` every message is compressed.
 */
export function openChannel(
  address = "127.0.0.1:50051",
  security: ChannelCredentials = credentials.createInsecure(),
  compression?: "gzip",
): Client {
  return new Client(address, security, {
    "grpc.default_compression_algorithm": compressionAlgorithms[compression ?? "identity"],
    // The caller spaces the attempts; the channel's own waits (up to 2 min) would add to them.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    // One connection per device, so that devices do not affect each other, and no retries below ours.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    // A proxy from http_proxy cannot reach this machine's loopback address.
    "grpc.enable_http_proxy": isLoopback(address) ? 0 : 1,
    // A TXT lookup for a service config would keep a process alive for 30 s when DNS does not respond.
    "grpc.service_config_disable_resolution": 1,
    // Detects a peer that vanished silently, for example by a power loss.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // An Ack that rejects each of 10,000 records, with reasons.
    "grpc.max_receive_message_length": 16 * 1024 * 1024,
  });
}

function isLoopback(address: string): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):/.test(address);
}
