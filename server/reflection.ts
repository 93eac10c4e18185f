import {
  createFileRegistry,
  createRegistry,
  type DescFile,
  fromJsonString,
  type MessageInitShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { file_fleetlog_v1_ingest } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { file_fleetlog_v1_query } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { file_google_rpc_error_details } from "#proto/gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "#proto/gen/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "#proto/gen/grpc/health/v1/health_pb.ts";
import {
  file_grpc_reflection_v1_reflection as fileOfV1,
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "#proto/gen/grpc/reflection/v1/reflection_pb.ts";

/** All services behind Nginx, which routes reflection to ingest servers: also QueryService, which gateways serve. */
const reflectedFiles = withImports([
  file_fleetlog_v1_ingest,
  file_fleetlog_v1_query,
  file_grpc_health_v1_health,
  // Of the details of errors, so that grpcurl shows them.
  file_google_rpc_error_details,
  file_google_rpc_status,
]);

/** The same service under both of its names. */
export const reflectionServices: readonly (typeof ServerReflection)[] = [ServerReflection, createAlpha()];

const registry = createRegistry(...reflectedFiles);
const encoded = new Map(
  reflectedFiles.map((file) => [file, toBinary(FileDescriptorProtoSchema, file.proto)]),
);

/** Answers each request. An unknown name is an error response, and the stream stays open. */
export async function* serveReflection(
  requests: AsyncIterable<ServerReflectionRequest>,
): AsyncIterable<MessageInitShape<typeof ServerReflectionResponseSchema>> {
  for await (const originalRequest of requests) {
    yield { originalRequest, messageResponse: answer(originalRequest) };
  }
}

type ReflectionResult = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;

function answer({ messageRequest: { case: asked, value } }: ServerReflectionRequest): ReflectionResult {
  switch (asked) {
    case "listServices": {
      const service = reflectedFiles.flatMap(({ services }) =>
        services.map(({ typeName: name }) => ({ name })),
      );
      return { case: "listServicesResponse", value: { service } };
    }
    case "fileByFilename":
      return toFileResult(
        reflectedFiles.find(({ proto }) => proto.name === value),
        `file ${value}`,
      );
    case "fileContainingSymbol":
      return toFileResult(findFile(value), `symbol ${value}`);
    case "fileContainingExtension":
      return notFound(`extension ${value.extensionNumber} of ${value.containingType}`);
    case "allExtensionNumbersOfType":
      return notFound(`extension of ${value}`);
    case undefined:
      return failure(Code.Unimplemented, "message_request: is missing or unknown");
  }
}

/** Finds the file of a service, message or enum, or of a member, such as a method. */
function findFile(symbol: string): DescFile | undefined {
  const end = symbol.lastIndexOf(".");
  return (registry.get(symbol) ?? (end < 0 ? undefined : registry.get(symbol.slice(0, end))))?.file;
}

function toFileResult(file: DescFile | undefined, what: string): ReflectionResult {
  if (file === undefined) return notFound(what);
  const fileDescriptorProto = withImports([file]).map((one) => encoded.get(one)!);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

/** The files, each followed by its imports, without duplicates. */
function withImports(files: readonly DescFile[]): readonly DescFile[] {
  const found = new Set<DescFile>();
  const collect = (file: DescFile): void => {
    if (found.has(file)) return;
    found.add(file);
    file.dependencies.forEach(collect);
  };
  files.forEach(collect);
  return [...found];
}

function notFound(what: string): ReflectionResult {
  return failure(Code.NotFound, `${what} not found`);
}

function failure(errorCode: Code, errorMessage: string): ReflectionResult {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

function createAlpha(): typeof ServerReflection {
  const text = toJsonString(FileDescriptorProtoSchema, fileOfV1.proto);
  const file = fromJsonString(
    FileDescriptorProtoSchema,
    text.replaceAll("grpc.reflection.v1", "grpc.reflection.v1alpha"),
  );
  const alpha = createFileRegistry(file, () => undefined).getService(
    "grpc.reflection.v1alpha.ServerReflection",
  );
  return alpha as typeof ServerReflection;
}
