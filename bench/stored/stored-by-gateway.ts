import type { BatchName, StoredRecords, StoredSession } from "#bench/stored/stored-records.ts";

interface DeviceRow {
  readonly deviceId: string;
  readonly recordCount: string;
}

interface LogRow {
  readonly sessionId: string;
  readonly sequence: string;
  readonly index: number;
}

const pageSize = 1_000;
const pagesAtOnce = 4;

/**
 * Reads every page of every device whose name starts with `prefix` from the gateway's JSON, as any client
 * can.
 */
export function storedByGateway(httpUrl: string, prefix: string): StoredRecords {
  const devices = async () => {
    const found: DeviceRow[] = [];
    for await (const row of pages<DeviceRow>(httpUrl, "/v1/devices", "devices", {})) {
      if (row.deviceId.startsWith(prefix)) found.push(row);
    }
    return found;
  };
  return {
    from: `the gateway at ${httpUrl}, page by page`,
    count: async () => (await devices()).reduce((sum, { recordCount }) => sum + Number(recordCount), 0),
    async sessions(uncertain) {
      const names = new Set(uncertain.map(toKey));
      const rest = (await devices()).map(({ deviceId }) => deviceId);
      const found: StoredSession[] = [];
      const worker = async () => {
        for (let deviceId = rest.pop(); deviceId !== undefined; deviceId = rest.pop()) {
          found.push(...(await loadSessions(httpUrl, deviceId, names)));
        }
      };
      await Promise.all(Array.from({ length: pagesAtOnce }, worker));
      return found;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function loadSessions(
  httpUrl: string,
  deviceId: string,
  uncertain: ReadonlySet<string>,
): Promise<readonly StoredSession[]> {
  const sessions = new Map<string, { rows: number; uncertainRows: number; seen: Set<string> }>();
  const query = { device_id: deviceId };
  for await (const { sessionId, sequence, index } of pages<LogRow>(httpUrl, "/v1/logs", "logs", query)) {
    const session = sessions.get(sessionId) ?? { rows: 0, uncertainRows: 0, seen: new Set() };
    sessions.set(sessionId, session);
    session.seen.add(`${sequence}/${index}`);
    if (uncertain.has(toKey({ deviceId, sessionId, sequence }))) session.uncertainRows += 1;
    else session.rows += 1;
  }
  return [...sessions].map(([sessionId, { rows, uncertainRows, seen }]) => {
    return { deviceId, sessionId, rows, doubledRows: rows + uncertainRows - seen.size, uncertainRows };
  });
}

async function* pages<Row>(
  httpUrl: string,
  path: string,
  field: string,
  query: Readonly<Record<string, string>>,
): AsyncGenerator<Row> {
  let token = "";
  do {
    const url = new URL(path, httpUrl);
    url.search = new URLSearchParams({ ...query, page_size: String(pageSize), page_token: token }).toString();
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}: ${text.slice(0, 300)}`);
    const page = JSON.parse(text) as { nextPageToken?: string } & Record<string, Row[] | undefined>;
    yield* page[field] ?? [];
    token = page.nextPageToken ?? "";
  } while (token !== "");
}

function toKey(batch: Pick<BatchName, "deviceId" | "sessionId"> & { sequence: bigint | string }): string {
  return `${batch.deviceId} ${batch.sessionId} ${batch.sequence}`;
}
