import { clone, create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  OneofDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { file_fleetlog_v1_ingest, IngestService, type SessionKey } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { RequestOptions } from "../unwrap-request.ts";

/**
 * IngestService as it is on the wire, with one difference: the batch of a request is declared `bytes`. A nested
 * message and a bytes field are encoded alike, so what a client sends as LogBatch arrives here as it was sent, byte for
 * byte and not decoded. For the binary encodings only: in JSON the two differ.
 */
export const shadowService: DescService = createShadow();

function createShadow(): DescService {
  const file = clone(FileDescriptorProtoSchema, file_fleetlog_v1_ingest.proto);
  for (const message of file.messageType) {
    for (const field of message.field) {
      if (field.name !== "batch") continue;
      field.type = FieldDescriptorProto_Type.BYTES;
      field.typeName = "";
      // A message field has presence; a bytes field only with this.
      field.proto3Optional = true;
      field.oneofIndex = message.oneofDecl.push(create(OneofDescriptorProtoSchema, { name: "_batch" })) - 1;
    }
  }
  const imports = file_fleetlog_v1_ingest.dependencies.map((dependency) => dependency.proto);
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...imports, file] }));
  return registry.getService(IngestService.typeName)!;
}

/** A request of the shadow service: a shadow's message has no type of its own. */
export interface ShadowRequest extends RequestOptions {
  readonly batch?: Uint8Array;
  /** Only StreamLogsRequest. */
  readonly reportCommitted?: SessionKey;
}
