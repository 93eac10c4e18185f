import type { DescEnumValue, DescField, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";

/** The comment in the .proto file, as one paragraph. Empty without source info, or without a comment. */
export function readComment(
  desc: DescService | DescMethod | DescMessage | DescField | DescEnumValue,
): string {
  const path = descriptorPath(desc);
  const { file } = "parent" in desc && desc.parent ? (desc.parent as DescMessage) : (desc as DescMessage);
  const location = file.proto.sourceCodeInfo?.location.find(
    (one) => one.path.length === path.length && one.path.every((step, index) => step === path[index]),
  );
  return (location?.leadingComments ?? "").trim().replaceAll(/\s*\n\s*/g, " ");
}

/** Field numbers of descriptor.proto, and indexes in its lists. */
function descriptorPath(desc: Parameters<typeof readComment>[0]): readonly number[] {
  switch (desc.kind) {
    case "message":
      return [4, desc.file.proto.messageType.indexOf(desc.proto)];
    case "field":
      return [...descriptorPath(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)];
    case "enum_value":
      return [
        5,
        desc.parent.file.proto.enumType.indexOf(desc.parent.proto),
        2,
        desc.parent.values.indexOf(desc),
      ];
    case "service":
      return [6, desc.file.proto.service.indexOf(desc.proto)];
    case "rpc":
      return [
        6,
        desc.parent.file.proto.service.indexOf(desc.parent.proto),
        2,
        desc.parent.methods.indexOf(desc),
      ];
  }
}
