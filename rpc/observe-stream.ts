/**
 * Passes the messages of a response on and reports once how the call ended: "OK" after the last message, "CANCELLED"
 * when the client left. An error of the messages goes through `onError`, which reports its code and returns what to throw.
 *
 * The consumer of the messages throws into this generator what the write of one ended with. The client left then, too:
 * such an error says nothing about the handler.
 */
export async function* observeStream<Message>(
  messages: AsyncIterable<Message>,
  end: (code: string) => void,
  onError: (error: unknown) => unknown,
): AsyncGenerator<Message> {
  let isWriting = false;
  try {
    for await (const message of messages) {
      isWriting = true;
      yield message;
      isWriting = false;
    }
    end("OK");
  } catch (error) {
    throw isWriting ? error : onError(error);
  } finally {
    end("CANCELLED"); // has no effect after another code
  }
}
