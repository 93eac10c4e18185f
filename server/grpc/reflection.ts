import { create, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { ServerReflectionRequest } from "#proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { serveReflection } from "../reflection.ts";

type Response = ReturnType<typeof serveReflection> extends AsyncIterable<infer Init> ? Init : never;

/** One of the reflection services as grpc-js defines it. */
export function defineReflection(service: DescService): ServiceDefinition {
  const definitions = service.methods.map(({ name, input, output }) => ({
    path: `/${service.typeName}/${name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: (request: Record<string, unknown>) =>
      Buffer.from(toBinary(input, create(input, request))),
    requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
    responseSerialize: (response: Record<string, unknown>) =>
      Buffer.from(toBinary(output, create(output, response))),
    responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
  }));
  return Object.fromEntries(
    definitions.map((definition, index) => [service.methods[index]!.name, definition]),
  );
}

export const reflectionHandlers: UntypedServiceImplementation = {
  ServerReflectionInfo: (call: ServerDuplexStream<ServerReflectionRequest, Response>) => void serveAll(call),
};

async function serveAll(call: ServerDuplexStream<ServerReflectionRequest, Response>): Promise<void> {
  try {
    for await (const response of serveReflection(call)) {
      await new Promise((resolve) => call.write(response, resolve)); // or never, when the client is gone
    }
    call.end();
  } catch (error) {
    if (!call.cancelled) throw error;
  }
}
