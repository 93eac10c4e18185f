import { HealthCheckResponse_ServingStatus as Status } from "#proto/gen/grpc/health/v1/health_pb.ts";

/** The services whose status is told; the empty name is the server as a whole. */
export const healthNames: readonly string[] = ["", "fleetlog.v1.IngestService"];

/** Why a watch ends that its client has not ended. */
export const watchEnd = "the server is stopping";

export function noStatusOf(service: string): string {
  return `service: unknown service ${JSON.stringify(service)}`;
}

/** The server's health, for those who ask and those who watch. */
export class Health {
  #isServing = false;
  #isClosed = false;
  #changed = Promise.withResolvers<void>();

  set(isServing: boolean): void {
    this.#isServing = isServing;
    this.#wake();
  }

  /** Ends all watches, once they have told the status. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** Undefined for a service that has none. */
  statusOf(service: string): Status | undefined {
    if (!healthNames.includes(service)) return undefined;
    return this.#isServing ? Status.SERVING : Status.NOT_SERVING;
  }

  /** The status now and each other one that follows it. Who is slow is told the latest. */
  async *watch(service: string, signal: AbortSignal): AsyncIterable<Status> {
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    let told: Status | undefined;
    while (!signal.aborted) {
      const changed = this.#changed.promise;
      const status = this.statusOf(service) ?? Status.SERVICE_UNKNOWN;
      if (status !== told) yield status;
      told = status;
      if (this.#isClosed) return;
      await Promise.race([changed, aborted.promise]);
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
