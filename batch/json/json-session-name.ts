import { FieldNames } from "./field-names.ts";
import { findField, textBytes } from "./json-fields.ts";
import { jsonKind } from "./json-kind.ts";
import { JsonReader } from "./json-reader.ts";

export interface SessionNameInJson {
  readonly deviceId: string;
  readonly sessionId: string;
}

const field = { deviceId: 1, sessionId: 2 } as const;
const names = new FieldNames({ device_id: field.deviceId, session_id: field.sessionId });

/** Reads a GetSessionRequest, whose size the caller bounds. Throws InvalidBatchError for what is not JSON. */
export function readJsonSessionName(json: Uint8Array): SessionNameInJson {
  const reader = new JsonReader(json);
  const name = readSessionName(reader);
  reader.finish();
  return name;
}

/** Reads the next value. One that is no text is given as it is written: it is refused where names are checked. */
export function readSessionName(reader: JsonReader): SessionNameInJson {
  const name = { deviceId: "", sessionId: "" };
  const kind = reader.kind();
  if (kind !== jsonKind.object) {
    reader.skip(kind);
    return name;
  }
  reader.enter();
  for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
    const found = findField(names, reader);
    const kind = reader.kind();
    const start = reader.position;
    reader.skip(kind);
    if (found === undefined || kind === jsonKind.null) continue;
    const isText = kind === jsonKind.string;
    const text = isText ? textBytes(reader) : reader.bytes.subarray(start, reader.position);
    name[found === field.deviceId ? "deviceId" : "sessionId"] = text.toString();
  }
  return name;
}
