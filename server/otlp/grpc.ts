import { otlpLimits } from "#otlp/limits.ts";
import type { BudgetShare, RequestBudget } from "../connect/request-budget.ts";
import { type FastMethod, unaryHandler } from "../grpc/fast-path/fast-path.ts";
import type { Status } from "../grpc/ingest-calls.ts";
import { refusalStatus } from "../grpc/status.ts";
import { encodeExportResponse } from "./export-response.ts";
import type { OtlpIngest } from "./otlp-ingest.ts";
import { exportMethod, logsService } from "./service.ts";

/** OTLP/gRPC. https://opentelemetry.io/docs/specs/otlp/#otlpgrpc */
export function otlpMethods(otlp: OtlpIngest, budget: RequestBudget): readonly FastMethod[] {
  const store = async (request: Buffer, share: BudgetShare): Promise<Buffer | Status> => {
    const outcome = await otlp.export(request, share);
    return outcome.refusal ? refusalStatus(outcome.refusal) : encodeExportResponse(outcome);
  };
  return [
    {
      service: logsService,
      name: exportMethod,
      type: "unary",
      messageBytesMax: otlpLimits.requestBytesMax,
      budget,
      start: (call, share) => unaryHandler(call, (request) => store(request, share)),
    },
  ];
}
