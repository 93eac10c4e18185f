import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";

/** A device and a session, and room for what later versions may add. */
const nameBytesMax = 4 * 1024;

/** Decodes a message that is the name of a session. Its size is checked before its fields cost anything. */
export function decodeName<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  if (bytes.length > nameBytesMax) {
    throw new RangeError(`it has ${bytes.length} bytes, the limit is ${nameBytesMax}`);
  }
  return fromBinary(schema, bytes, { readUnknownFields: false });
}
