import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { sendersMistake } from "./refusal-error.ts";

/** What connect-node says of messages of a stream that cannot be read, in the code that the sender deserves: see {@link sendersMistake}. */
export const mapSenderMistakes: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: mapped(response.message) } : response;
  } catch (error) {
    throw asMistake(error);
  }
};

async function* mapped<Message>(messages: AsyncIterable<Message>): AsyncIterable<Message> {
  try {
    yield* messages;
  } catch (error) {
    throw asMistake(error);
  }
}

function asMistake(error: unknown): unknown {
  const reason = ConnectError.from(error);
  return sendersMistake(reason.code, reason.rawMessage) ?? error;
}
