import type { Duplex } from "node:stream";
import type { ClientBase, Connection } from "pg";

/** A prepared statement, and the values of its parameters as text. */
export interface Statement {
  /** On a connection one name has one text; empty: it is parsed each time. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly string[];
}

/**
 * Runs a statement and calls `onRow` with each row as it arrives, in PostgreSQL's binary format: {@link readFields} takes it
 * apart. Nothing is kept, so the memory is that of one row. What `onRow` throws is thrown when the statement has ended.
 *
 * pg makes a string of every field, which binary ones do not survive. So while the statement runs, its messages are taken
 * from the socket here; pg gets all of them but the rows.
 */
export async function readBinaryRows(
  client: ClientBase,
  statement: Statement,
  onRow: (row: Buffer) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const query = new BinaryQuery(statement, onRow);
  query.callback = (error) => (error ? reject(error) : resolve());
  client.query(query);
  await promise;
}

/** The fields of a row in the order of its columns; undefined: NULL. */
export function readFields(row: Buffer): (Buffer | undefined)[] {
  const fields: (Buffer | undefined)[] = [];
  const count = row.readInt16BE(0);
  let at = 2;
  while (fields.length < count) {
    const size = row.readInt32BE(at);
    at += 4;
    fields.push(size < 0 ? undefined : row.subarray(at, at + size));
    if (size > 0) at += size;
  }
  return fields;
}

/** What pg's client calls on the query that it runs. */
class BinaryQuery {
  readonly name: string;
  readonly text: string;
  /** Called once; pg wraps it to end its timer. */
  callback: (error?: Error) => void = () => {};
  readonly #values: readonly string[];
  readonly #onRow: (row: Buffer) => void;
  #error: Error | undefined;

  constructor({ name, text, values }: Statement, onRow: (row: Buffer) => void) {
    this.name = name;
    this.text = text;
    this.#values = values;
    this.#onRow = onRow;
  }

  submit(connection: Connection): void {
    const { stream, parsedStatements } = connection as Connection & Prepared;
    divertRows(stream, (row) => this.#take(row));
    stream.cork();
    if (this.name === "" || parsedStatements[this.name] === undefined) {
      connection.parse({ name: this.name, text: this.text, types: [] }, false);
    }
    connection.bind({ statement: this.name, values: [...this.#values], binary: "yes" }, false);
    connection.execute({}, false);
    connection.sync();
    stream.uncork();
  }

  handleError(error: Error): void {
    this.#error ??= error;
    this.callback(this.#error);
  }

  handleReadyForQuery(): void {
    this.callback(this.#error);
  }

  handleCommandComplete(): void {}

  #take(row: Buffer): void {
    if (this.#error !== undefined) return;
    try {
      this.#onRow(row);
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
    }
  }
}

/** What the types of pg's connection leave out. */
interface Prepared {
  readonly parsedStatements: Readonly<Record<string, string | undefined>>;
}

type OnData = (chunk: Buffer) => void;

/** Until the server is ready for the next query, rows go to `onRow` and all other messages to those that listen now. */
function divertRows(stream: Duplex, onRow: (row: Buffer) => void): void {
  const listeners = stream.listeners("data") as OnData[];
  const messages = new MessageSplitter();
  const restore = () => {
    stream.removeListener("data", onData);
    for (const listener of listeners) stream.on("data", listener);
  };
  const forward = (bytes: Buffer) => {
    for (const listener of listeners) listener(bytes);
  };
  const turn = new Turn(stream);
  let isOver = false;
  const onData: OnData = (chunk) => {
    turn.start();
    for (const message of messages.split(chunk)) {
      if (message[0] === messageTypes.dataRow) {
        onRow(message.subarray(headerBytes));
        continue;
      }
      // Before it is forwarded: pg then submits its next query.
      if (message[0] === messageTypes.readyForQuery) {
        restore();
        isOver = true;
      }
      forward(message);
    }
    // The beginning of a notice, say: its end goes to pg.
    if (isOver && messages.rest.length > 0) forward(messages.rest);
    turn.end();
  };
  for (const listener of listeners) stream.removeListener("data", listener);
  stream.on("data", onData);
}

/**
 * Bounds how long rows hold the event loop: Node reads up to two megabytes of a fast socket, 16,000 records, before anything
 * else. After some milliseconds the socket waits until everything else had its turn.
 */
class Turn {
  readonly #stream: Duplex;
  #startedMs = 0;
  #busyMs = 0;
  #isOver = true;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  start(): void {
    this.#startedMs = performance.now();
    if (!this.#isOver) return;
    this.#isOver = false;
    setImmediate(() => {
      this.#isOver = true;
      this.#busyMs = 0;
      this.#stream.resume();
    });
  }

  end(): void {
    this.#busyMs += performance.now() - this.#startedMs;
    if (this.#busyMs > turnMsMax) this.#stream.pause();
  }
}

const turnMsMax = 5;
const messageTypes = { dataRow: 0x44 /* D */, readyForQuery: 0x5a /* Z */ } as const;
/** A letter, and the length of the rest with itself. */
const headerBytes = 5;

/** Cuts what arrives into whole messages. */
class MessageSplitter {
  #parts: Buffer[] = [];
  #size = 0;
  /** Of the message that has begun, or of its header. */
  #wanted = headerBytes;

  /** The beginning of a message whose end has not arrived. */
  get rest(): Buffer {
    return Buffer.concat(this.#parts);
  }

  split(chunk: Buffer): readonly Buffer[] {
    this.#parts.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#wanted) return [];
    let rest = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    const messages: Buffer[] = [];
    for (;;) {
      this.#wanted = rest.length < headerBytes ? headerBytes : 1 + rest.readUInt32BE(1);
      if (rest.length < this.#wanted) break;
      messages.push(rest.subarray(0, this.#wanted));
      rest = rest.subarray(this.#wanted);
    }
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    return messages;
  }
}
