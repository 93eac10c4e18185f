import { limits } from "#batch/limits.ts";

/**
 * "auto": stack traces of common languages; "off": each line is a record; a pattern: a matching line
 * starts a record.
 */
export type Multiline = "auto" | "off" | RegExp;

/** Lines beyond this begin another record, as those beyond a message's bytes do. */
const linesMax = 1_000;

/** Lines that continue a trace after any line: Java, .NET, Node, Python, Ruby. */
const frame =
  /^(?:#\d+ |[Ss]tack ?trace:|\s+at |\s+File "|Caused by: |\s*Suppressed: |\s+\.\.\. \d+ (?:more|common frames)|Traceback \(most recent|During handling of the above|The above exception was|\s+from .+:\d+:in |   --- End of )/;
/** Starts a trace. */
const traceback = /^\s*Traceback \(most recent call last\):|Traceback \(most recent call last\):$/;
/** The message of the panic is on the next line, since Rust 1.73. */
const rustPanic = /^thread '.*' (?:\(\d+\) )?panicked at /;
const rustFrame = /^(?:note: |stack backtrace:|\s+\d+: |\s+at )/;
const goPanic = /^(?:panic: |fatal error: |goroutine \d+ \[)/;
const goFrame = /^(?:$|\s|goroutine \d+ \[|panic: |\[signal |created by |exit status \d|[\w./*()-]+\(.*\)$)/;
/** `java.lang.IllegalStateException: why`, behind a line that has a time. */
const exception = /^(?:[\w$]+\.)*(?:[A-Z][\w$]*)?(?:Exception|Error|Throwable|Warning|Interrupt)(?::|$)/;
/** The end of an indented block. */
const closing = /^[)}\]]+[;,]?$/;
const indented = /^[\t ]+\S|^\t/;

type State = "plain" | "python" | "python-message" | "go" | "rust-head" | "rust";

/**
 * Decides for the lines of one input, in order, which of them continue the record before: the stack trace of an error is
 * one record with it. A line with a time of its own always begins a record.
 */
export class LineJoiner {
  readonly #multiline: Multiline;
  #state: State = "plain";
  #headHasTime = false;
  #isTrace = false;
  #lines = 0;
  #bytes = 0;

  constructor(multiline: Multiline = "auto") {
    this.#multiline = multiline;
  }

  /** Whether the lines of the current record form a stack trace. */
  get isTrace(): boolean {
    return this.#isTrace;
  }

  /** Whether the line belongs to the record of the line before, of which it makes `byteLength` bytes. */
  continues(line: Buffer, hasTime: boolean, byteLength = line.byteLength): boolean {
    // A pattern may contain letters of any script; traces are ASCII.
    const text = line.toString(this.#multiline instanceof RegExp ? "utf8" : "latin1", 0, 256);
    const wanted = this.#lines > 0 && this.#isContinuation(text, hasTime);
    const bytes = this.#bytes + 1 + byteLength;
    const continues = wanted && this.#lines < linesMax && bytes <= limits.messageBytesMax;
    if (!wanted) {
      this.#headHasTime = hasTime;
      this.#state = "plain";
    }
    this.#state = nextState(this.#state, text);
    this.#isTrace = (wanted && this.#isTrace) || this.#state !== "plain" || (wanted && frame.test(text));
    this.#lines = continues ? this.#lines + 1 : 1;
    this.#bytes = continues ? bytes : byteLength;
    return continues;
  }

  #isContinuation(text: string, hasTime: boolean): boolean {
    if (this.#multiline === "off") return false;
    if (this.#multiline !== "auto") return !this.#multiline.test(text);
    if (hasTime) return false;
    if (this.#state === "python") return true;
    if (this.#state === "python-message" && text === "") return true; // between chained exceptions
    if (this.#state === "go") return goFrame.test(text);
    if (this.#state === "rust-head") return !rustPanic.test(text);
    if (this.#state === "rust") return rustFrame.test(text);
    if (frame.test(text)) return true;
    if (this.#lines > 1 && closing.test(text)) return true;
    return this.#headHasTime && (indented.test(text) || exception.test(text) || goPanic.test(text));
  }
}

/** In Python's traceback the line after the indented ones names the exception. */
function nextState(state: State, text: string): State {
  if (traceback.test(text)) return "python";
  if (state === "python") return indented.test(text) || text === "" ? "python" : "python-message";
  if (state === "python-message" && (text === "" || frame.test(text))) return "python-message";
  if (rustPanic.test(text)) return text.endsWith(":") ? "rust-head" : "rust";
  if (state === "rust-head" || state === "rust") return "rust";
  if (state === "go") return "go";
  return goPanic.test(text) ? "go" : "plain";
}
