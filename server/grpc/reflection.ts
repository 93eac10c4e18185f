import { ReflectionService } from "@grpc/reflection";
import { encodeFile, reflectedFiles } from "../reflected-files.ts";

/** Server reflection by gRPC, v1 and v1alpha. */
export function createReflection(): ReflectionService {
  // All that the library reads of a package definition is the encoded files of each of its values.
  return new ReflectionService({
    all: { fileDescriptorProtos: reflectedFiles.map(encodeFile) },
  } as unknown as ConstructorParameters<typeof ReflectionService>[0]);
}
