import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_fleetlog_v1_ingest } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { file_fleetlog_v1_query } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { file_grpc_health_v1_health } from "#proto/gen/grpc/health/v1/health_pb.ts";

/** What clients meet at the front door: also QueryService, which gateways serve. Nginx asks ingest servers for it. */
export const reflectedFiles: readonly DescFile[] = withImports([
  file_fleetlog_v1_ingest,
  file_fleetlog_v1_query,
  file_grpc_health_v1_health,
]);

/** The files, each followed by all that it imports, and none twice. */
export function withImports(files: readonly DescFile[]): readonly DescFile[] {
  const found = new Set<DescFile>();
  const collect = (file: DescFile): void => {
    if (found.has(file)) return;
    found.add(file);
    file.dependencies.forEach(collect);
  };
  files.forEach(collect);
  return [...found];
}

export function encodeFile(file: DescFile): Buffer {
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto));
}
