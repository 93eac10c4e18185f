import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { LogFilterSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";

/** A query parameter and the request field it sets. */
export interface QueryParameter {
  readonly field: DescField;
  /** The field of the request that contains it; undefined: the request itself. */
  readonly within: DescField | undefined;
}

/** The parameters of a REST call: the fields of its request and those of its filter. */
export function queryParameters(request: DescMessage): readonly QueryParameter[] {
  return request.fields.flatMap((field): QueryParameter[] =>
    isLogFilter(field)
      ? field.message.fields.map((condition) => ({ field: condition, within: field }))
      : [{ field, within: undefined }],
  );
}

export function isLogFilter(field: DescField): field is DescField & { readonly message: DescMessage } {
  return field.fieldKind === "message" && field.message.typeName === LogFilterSchema.typeName;
}
