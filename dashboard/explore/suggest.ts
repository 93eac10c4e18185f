import { Field } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { query } from "../api/client.ts";
import { filterRequest } from "../api/filter-request.ts";
import type { Suggestion } from "../components/combo-box.tsx";
import { nowMicros } from "../state/time-text.ts";
import { readAttribute, type View, writeAttribute } from "../state/view.ts";

const suggestionsMax = 20;

/** Devices that sent records in the range; by name when the gateway cannot count them in time. */
export async function suggestDevices(
  view: View,
  typed: string,
  signal: AbortSignal,
): Promise<readonly Suggestion[]> {
  const found = await listValues({ ...view, devices: [] }, Field.DEVICE_ID, "", typed, signal).catch(
    () => [],
  );
  if (found.length > 0) return found;
  const { devices } = await query.listDevices({ search: typed, pageSize: suggestionsMax }, { signal });
  return devices.map(({ deviceId }) => ({ value: deviceId }));
}

export async function suggestLoggers(
  view: View,
  typed: string,
  signal: AbortSignal,
): Promise<readonly Suggestion[]> {
  const found = await listValues({ ...view, logger: "" }, Field.LOGGER, "", typed, signal);
  return found.filter(({ value }) => value !== "");
}

/** Names of attributes; after a "=" the values of the named one. */
export async function suggestAttributes(
  view: View,
  typed: string,
  signal: AbortSignal,
): Promise<readonly Suggestion[]> {
  const { name, value } = readAttribute(typed);
  if (value === undefined) {
    const names = await listValues(view, Field.ATTRIBUTE_NAME, "", name, signal);
    return names.map(({ value, count }) => ({
      value: `${writeAttribute({ name: value, value: undefined })}=`,
      count,
    }));
  }
  const values = await listValues(view, Field.ATTRIBUTE, name, value, signal);
  return values.map(({ value, count }) => ({ value: writeAttribute({ name, value }), count }));
}

async function listValues(
  view: View,
  field: Field,
  attribute: string,
  search: string,
  signal: AbortSignal,
): Promise<{ value: string; count: bigint }[]> {
  const { values } = await query.listFieldValues(
    { ...filterRequest(view, view.range, nowMicros()), field, attribute, search, pageSize: suggestionsMax },
    { signal, timeoutMs: 5000 },
  );
  return values.map(({ value, recordCount }) => ({ value, count: recordCount }));
}
