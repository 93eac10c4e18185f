import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";

/** A longer message is not read, packed or not, and its call ends. */
export const messageBytesMax = limits.requestBytesMax;

/** What gRPC puts before each message: a byte that says whether it is compressed, four bytes of length. */
export const prefixBytes = 5;

export function tooLong(bytes: number, bytesMax: number): InvalidBatchError {
  return new InvalidBatchError("request", `is a message of ${bytes} bytes, the limit is ${bytesMax}`);
}

export function unknownEncoding(): InvalidBatchError {
  return new InvalidBatchError("request", "is compressed without grpc-encoding");
}

export function endsWithinMessage(): InvalidBatchError {
  return new InvalidBatchError("request", "ends within a message");
}

/** The encodings of messages that are read here, as gRPC announces them. */
export const acceptEncoding = "identity,gzip";
