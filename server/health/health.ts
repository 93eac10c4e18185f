import { HealthCheckResponse_ServingStatus as Status } from "#proto/gen/grpc/health/v1/health_pb.ts";

/** The services that have a status; the empty name is the server as a whole. */
export const healthNames: readonly string[] = ["", "fleetlog.v1.IngestService"];

/** The reason when the server ends a watch. */
export const watchEnd = "the server is stopping";

export function unknownService(service: string): string {
  return `service: unknown service ${JSON.stringify(service)}`;
}

/** The server's health, for Check and Watch calls. */
export class Health {
  #isServing = false;
  #isClosed = false;
  #changed = Promise.withResolvers<void>();

  set(isServing: boolean): void {
    this.#isServing = isServing;
    this.#wake();
  }

  /** Ends all watches after they sent the status. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** Undefined for an unknown service. */
  status(service: string): Status | undefined {
    if (!healthNames.includes(service)) return undefined;
    return this.#isServing ? Status.SERVING : Status.NOT_SERVING;
  }

  /** The current status and each change. A slow reader gets only the latest. */
  async *watch(service: string, signal: AbortSignal): AsyncIterable<Status> {
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    let sent: Status | undefined;
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      const status = this.status(service) ?? Status.SERVICE_UNKNOWN;
      if (status !== sent) yield status;
      sent = status;
      if (this.#isClosed) return;
      await Promise.race([changed, aborted.promise]);
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
