import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createDocument } from "./document.ts";

// A step of `npm run generate`: comments are in the .proto files and not in the generated code, so the document
// is generated from an image that buf builds, and committed.

const projectFolder = join(import.meta.dirname, "../..");
export const openapiFile = join(import.meta.dirname, "openapi.json");

/** The text that openapi.json must have. */
export function openapiText(): string {
  const buf = join(projectFolder, "node_modules/.bin/buf");
  const options = { cwd: projectFolder, maxBuffer: imageBytesMax };
  const image = execFileSync(buf, ["build", "--as-file-descriptor-set", "-o", "-"], options);
  const { version } = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")) as {
    version: string;
  };
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  return `${JSON.stringify(createDocument(registry, version), null, 2)}\n`;
}

const imageBytesMax = 16 * 1024 * 1024;

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(openapiFile, openapiText());
