import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ReflectionService } from "@grpc/reflection";
import { service as healthService } from "grpc-health-check";
import { file_fleetlog_v1_ingest } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** Server reflection, v1 and v1alpha, of what this server serves. */
export function createReflection(): ReflectionService {
  const files = new Map<string, Buffer>();
  collect(file_fleetlog_v1_ingest, files);
  const health = healthService["Check"] as unknown as { requestType: { fileDescriptorProtos: Buffer[] } };
  // All that the library reads of a package definition is the encoded files of each of its values.
  return new ReflectionService({
    ingest: { fileDescriptorProtos: [...files.values()] },
    health: { fileDescriptorProtos: health.requestType.fileDescriptorProtos },
  } as unknown as ConstructorParameters<typeof ReflectionService>[0]);
}

/** A file and what it imports, encoded, by name. */
function collect(file: DescFile, into: Map<string, Buffer>): void {
  if (into.has(file.name)) return;
  into.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  for (const dependency of file.dependencies) collect(dependency, into);
}
