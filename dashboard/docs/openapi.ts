/** The part of openapi.json that the dashboard shows. */
export interface OpenApi {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, { readonly get: Operation }>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  readonly responses: Readonly<Record<string, ResponseSpec>>;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly description: string;
  readonly schema: Schema;
}

interface ResponseSpec {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
}

export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
}

/** The name of the referenced schema. */
export function schemaName({ $ref = "" }: Schema): string {
  return $ref.slice($ref.lastIndexOf("/") + 1);
}

/** The limits of a parameter, as short text. */
export function limitText({ minimum, maximum, maxLength, maxItems, pattern, items }: Schema): string {
  const parts = [
    maximum !== undefined && `${minimum ?? 0} to ${maximum.toLocaleString("en")}`,
    maxLength !== undefined && `up to ${maxLength.toLocaleString("en")} characters`,
    maxItems !== undefined && `up to ${maxItems} times`,
    pattern,
    items && limitText(items),
  ];
  return parts.filter(Boolean).join("; ");
}
