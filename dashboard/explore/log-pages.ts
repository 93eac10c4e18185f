import { signal } from "@preact/signals";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { query } from "../api/client.ts";
import { type Failure, toFailure } from "../api/failure.ts";
import type { filterRequest } from "../api/filter-request.ts";

/** Beyond this many rows the browser becomes slow: the user continues from the last one. */
const rowsMax = 50_000;
const pageSizes = [100, 500] as const;

/** The pages of one query, requested one by one as the user scrolls near their end. */
export class LogPages {
  readonly rows = signal<readonly LogEntry[]>([]);
  readonly status = signal<"loading" | "more" | "end" | "full" | "failed">("loading");
  readonly failure = signal<Failure | undefined>(undefined);
  readonly #abort = new AbortController();
  readonly #request: ReturnType<typeof filterRequest> & { readonly oldestFirst: boolean };
  #token = "";

  constructor(request: ReturnType<typeof filterRequest> & { readonly oldestFirst: boolean }) {
    this.#request = request;
    void this.#load();
  }

  /** Requests the next page, unless one is loading or there is none. */
  more(): void {
    if (this.status.value === "more") void this.#load();
  }

  /** Repeats the failed request. */
  retry(): void {
    if (this.status.value === "failed") void this.#load();
  }

  close(): void {
    this.#abort.abort();
  }

  async #load(): Promise<void> {
    this.status.value = "loading";
    try {
      const { logs, nextPageToken } = await query.listLogs(
        {
          ...this.#request,
          pageToken: this.#token,
          // The first page is shown at once.
          pageSize: this.#token === "" ? pageSizes[0] : pageSizes[1],
        },
        { signal: this.#abort.signal, timeoutMs: 20_000 },
      );
      if (this.#abort.signal.aborted) return;
      this.#token = nextPageToken;
      // The search took long, and has found nothing so far.
      if (logs.length === 0 && nextPageToken !== "") return await this.#load();
      this.rows.value = [...this.rows.value, ...logs];
      this.status.value = nextPageToken === "" ? "end" : this.rows.value.length >= rowsMax ? "full" : "more";
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.failure.value = toFailure(error);
      this.status.value = "failed";
    }
  }
}
