import { type DescFile, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ReflectionService } from "@grpc/reflection";
import { service as healthService } from "grpc-health-check";
import { file_fleetlog_v1_ingest } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { file_fleetlog_v1_query } from "#proto/gen/fleetlog/v1/query_pb.ts";

/**
 * Server reflection, v1 and v1alpha, of what clients meet at the front door: also of QueryService, which gateways serve. Nginx
 * asks ingest servers for it.
 */
export function createReflection(): ReflectionService {
  const files = new Map<string, Buffer>();
  collect(file_fleetlog_v1_ingest, files);
  collect(file_fleetlog_v1_query, files);
  // All that the library reads of a package definition is the encoded files of each of its values.
  return new ReflectionService({
    ingest: { fileDescriptorProtos: [...files.values()] },
    health: { fileDescriptorProtos: [healthFile()] },
  } as unknown as ConstructorParameters<typeof ReflectionService>[0]);
}

/** A file and what it imports, encoded, by name. */
function collect(file: DescFile, into: Map<string, Buffer>): void {
  if (into.has(file.name)) return;
  into.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  for (const dependency of file.dependencies) collect(dependency, into);
}

/**
 * grpc.health.v1 without List, whose map the loader of grpc-health-check describes wrongly: a client that resolves
 * types, such as buf curl, would reject the whole file.
 */
function healthFile(): Buffer {
  const { requestType } = healthService["Check"] as unknown as {
    requestType: { fileDescriptorProtos: [Buffer] };
  };
  const file = fromBinary(FileDescriptorProtoSchema, requestType.fileDescriptorProtos[0]);
  file.messageType = file.messageType.filter(({ name }) => !name.startsWith("HealthList"));
  for (const service of file.service) service.method = service.method.filter(({ name }) => name !== "List");
  return Buffer.from(toBinary(FileDescriptorProtoSchema, file));
}
