import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { readComment } from "./comments.ts";

/** A JSON Schema of 2020-12, as far as it is needed here. */
export type Schema = Readonly<Record<string, unknown>>;

/** The schemas of messages and enums by name, added as they are referenced: `components.schemas`. */
export class Schemas {
  readonly #found = new Map<string, Schema>();

  /** Sorted by name. */
  get all(): Readonly<Record<string, Schema>> {
    return Object.fromEntries([...this.#found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  add(name: string, schema: Schema): Schema {
    this.#found.set(name, schema);
    return referenceTo(name);
  }

  /** A message in the JSON of responses: zero values are present, unset fields are not. */
  ofMessage(message: DescMessage): Schema {
    const wellKnown = wellKnownTypes.get(message.typeName);
    if (wellKnown !== undefined) return wellKnown;
    if (this.#found.has(message.name)) return referenceTo(message.name);
    this.#found.set(message.name, {}); // ends the recursion of a message that contains itself
    const properties = message.fields.map((field) => [field.jsonName, this.#ofProperty(field)]);
    return this.add(message.name, {
      type: "object",
      description: readComment(message),
      required: message.fields.filter(isAlwaysThere).map(({ jsonName }) => jsonName),
      properties: Object.fromEntries(properties) as Schema,
    });
  }

  /** One value of a field; of a list, one of its items. */
  ofValue(field: DescField): Schema {
    if (field.enum !== undefined) return this.ofEnum(field.enum);
    if (field.message !== undefined) return this.ofMessage(field.message);
    const schema = field.scalar === undefined ? undefined : scalarTypes.get(field.scalar);
    if (schema === undefined) throw new Error(`${field.toString()}: there is no schema for its type`);
    return schema;
  }

  ofEnum({ name, values }: DescEnum): Schema {
    const descriptions = values.map(
      (value) => `- \`${value.name}\` (${value.number}): ${readComment(value)}`,
    );
    return this.add(name, {
      type: "string",
      enum: values.map((value) => value.name),
      description: descriptions.join("\n"),
    });
  }

  #ofProperty(field: DescField): Schema {
    const description = readComment(field);
    if (field.fieldKind === "map") {
      const values = field.scalar === undefined ? {} : scalarTypes.get(field.scalar);
      return { type: "object", additionalProperties: values, description };
    }
    if (field.fieldKind === "list") return { type: "array", items: this.ofValue(field), description };
    return { ...this.ofValue(field), description };
  }
}

export function referenceTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function isAlwaysThere(field: DescField): boolean {
  return (
    field.fieldKind === "list" ||
    field.fieldKind === "map" ||
    field.presence === FeatureSet_FieldPresence.IMPLICIT
  );
}

const unsigned64 = { type: "string", pattern: "^\\d{1,20}$", format: "uint64" };
const scalarTypes = new Map<ScalarType, Schema>([
  [ScalarType.STRING, { type: "string" }],
  [ScalarType.BOOL, { type: "boolean" }],
  [ScalarType.INT32, { type: "integer", format: "int32" }],
  [ScalarType.UINT32, { type: "integer", format: "int64", minimum: 0 }],
  [ScalarType.UINT64, unsigned64],
  [ScalarType.FIXED64, unsigned64],
  [ScalarType.SINT64, { type: "string", pattern: "^-?\\d{1,19}$", format: "int64" }],
  [ScalarType.DOUBLE, { type: "number", format: "double" }],
  [ScalarType.BYTES, { type: "string", contentEncoding: "base64" }],
]);

const wellKnownTypes = new Map<string, Schema>([
  ["google.protobuf.Timestamp", { type: "string", format: "date-time" }],
  ["google.protobuf.Duration", { type: "string", pattern: "^-?\\d+(\\.\\d{1,9})?s$" }],
  ["google.protobuf.Struct", { type: "object" }],
]);
