import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import {
  type SessionKey,
  type SessionProgress,
  type SessionRanges,
  sessionKeyText,
} from "#stream/session-progress.ts";
import { retryLater } from "../ingest.ts";
import type { Refusal } from "../outcome.ts";
import type { ProgressRequester } from "./requester.ts";

/** Sessions looked up at a time; calls for the same session share one request. */
const lookupsMax = 1_000;
/** A message may be lost: the request is repeated. */
const requestIntervalMs = 1_000;
const requestsMax = 3;

type LookupResult = SessionRanges | Refusal;

interface Lookup {
  readonly result: Promise<LookupResult>;
  readonly settle: (answer: LookupResult) => void;
}

/** Looks sessions up for GetSession: requests their ranges from the consumers and waits for the first answer, 3 s at most. */
export class SessionLookups {
  readonly #requester: Pick<ProgressRequester, "request">;
  readonly #lookups = new Map<string, Lookup>();

  constructor(requester: Pick<ProgressRequester, "request">) {
    this.#requester = requester;
  }

  get size(): number {
    return this.#lookups.size;
  }

  /** The ranges of a session, or a refusal with UNAVAILABLE when no consumer answers in time. */
  lookUp(name: SessionKey): Promise<LookupResult> {
    const key = sessionKeyText(name);
    const inFlight = this.#lookups.get(key);
    if (inFlight !== undefined) return inFlight.result;
    if (this.#lookups.size >= lookupsMax) {
      return Promise.resolve(
        retryLater(BatchErrorCode.UNAVAILABLE, `${lookupsMax} session lookups are in flight: retry later`),
      );
    }
    const { promise: result, resolve } = Promise.withResolvers<LookupResult>();
    let requests = 0;
    const request = () => {
      requests += 1;
      if (requests <= requestsMax) this.#requester.request({ ...name, withRanges: true });
      else settle(retryLater(BatchErrorCode.UNAVAILABLE, "no consumer answered: retry later"));
    };
    const timer = setInterval(request, requestIntervalMs);
    const settle = (answered: LookupResult) => {
      clearInterval(timer);
      this.#lookups.delete(key);
      resolve(answered);
    };
    this.#lookups.set(key, { result, settle });
    request();
    return result;
  }

  /** Receives the message of a consumer. */
  onProgress(progress: SessionProgress | SessionRanges): void {
    if ("received" in progress) this.#lookups.get(sessionKeyText(progress))?.settle(progress);
  }
}
