/** Sends one record as curl would; false when it was not taken, and would have to be sent again. */
export async function pushOne(httpPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${httpPort}/fleetlog.v1.IngestService/PushLogs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ batch: { deviceId: "push", records: [{ message: "x" }] } }),
      signal: AbortSignal.timeout(10_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // counted by the caller
  }
}
