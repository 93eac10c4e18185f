import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";

/** A device and a session, and room for what later versions may add. */
const requestBytesMax = 4 * 1024;

/** Decodes a request without a batch. Its size is checked before its fields cost anything. */
export function decodeRequest<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  if (bytes.length > requestBytesMax) {
    throw new RangeError(`it has ${bytes.length} bytes, the limit is ${requestBytesMax}`);
  }
  return fromBinary(schema, bytes, { readUnknownFields: false });
}
