import { clone, createFileRegistry, type DescMessage } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Type, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_fleetlog_v1_log, LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** LogRecord with its strings declared as bytes, on the wire the same: for what protobuf-es refuses as a string. */
export const bytesRecordSchema: DescMessage = createSchema();

function createSchema(): DescMessage {
  const file = clone(FileDescriptorProtoSchema, file_fleetlog_v1_log.proto);
  for (const { field: fields } of file.messageType) {
    for (const field of fields) {
      if (field.type === FieldDescriptorProto_Type.STRING) field.type = FieldDescriptorProto_Type.BYTES;
    }
  }
  return createFileRegistry(file, () => undefined).getMessage(LogRecordSchema.typeName)!;
}

/** The fields of a {@link bytesRecordSchema}. */
export interface BytesRecord {
  readonly timeUnixNano: bigint;
  readonly severity: number;
  readonly logger: Uint8Array;
  readonly message: Uint8Array;
  readonly attributes: readonly { readonly key: Uint8Array; readonly value: BytesValue }[];
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly eventName: Uint8Array;
  readonly uptimeNano: bigint;
  readonly severityText: Uint8Array;
  readonly observedTimeUnixNano: bigint;
}

interface BytesValue {
  readonly case?: string | undefined;
  readonly value?: Uint8Array | boolean | bigint | number | undefined;
}
