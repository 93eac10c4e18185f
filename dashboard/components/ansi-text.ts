/** A piece of a log message: plain text of one style. */
export interface TextPiece {
  readonly text: string;
  /** Names of styles, for CSS: "bold", "red". Empty: the default. */
  readonly styles: readonly string[];
  /** Represents a character that is invisible or changes its neighbours. */
  readonly isControl: boolean;
}

/**
 * Splits a message at terminal sequences: colours and weights (SGR) become styles, other escape sequences are
 * removed, and remaining control characters and marks of text direction are named, not obeyed.
 */
export function splitAnsi(message: string): readonly TextPiece[] {
  if (!special.test(message)) return [{ text: message, styles: [], isControl: false }];
  const pieces: TextPiece[] = [];
  let styles: readonly string[] = [];
  let from = 0;
  const plain = (to: number) => {
    if (to > from) pieces.push({ text: message.slice(from, to), styles, isControl: false });
  };
  for (const found of message.matchAll(sequence)) {
    const [whole, sgr, control] = found;
    plain(found.index);
    if (sgr !== undefined) styles = nextStyles(styles, sgr);
    else if (control !== undefined) pieces.push({ text: characterName(control), styles, isControl: true });
    from = found.index + whole.length;
  }
  plain(message.length);
  return pieces;
}

/** The message without terminal sequences. */
export function stripAnsi(message: string): string {
  return splitAnsi(message)
    .map(({ text, isControl }) => (isControl ? "" : text))
    .join("");
}

const invisible = String.raw`\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff`;
const special = new RegExp(`[${invisible}]`);
/** SGR; any other CSI sequence; OSC, DCS, PM, APC up to their end, at most 4,096 characters; two-character escapes; a control. */
const sequence = new RegExp(
  String.raw`(?:\x1b\[|\x9b)([\d;:]*)m|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)|\x1b[ -/]{0,4}[0-~]|\r(?=\n|$)|([${invisible}])`,
  "g",
);

const colors = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const weights = new Map([
  [1, "bold"],
  [2, "faint"],
  [3, "italic"],
  [4, "underline"],
  [9, "struck"],
]);

function nextStyles(styles: readonly string[], parameters: string): readonly string[] {
  const numbers = parameters.split(/[;:]/).map(Number);
  let next = [...styles];
  const without = (names: readonly string[]) => next.filter((style) => !names.includes(style));
  for (let at = 0; at < numbers.length; at += 1) {
    const number = numbers[at] ?? 0;
    const weight = weights.get(number);
    const color = colors[number >= 90 ? number - 90 : number - 30];
    if (number === 0) next = [];
    else if (weight !== undefined) next = [...without([weight]), weight];
    else if (number === 22) next = without(["bold", "faint"]);
    else if (number === 23) next = without(["italic"]);
    else if (number === 24) next = without(["underline"]);
    else if (number === 29) next = without(["struck"]);
    else if (number === 39) next = without(colors);
    else if (number === 38 || number === 48) {
      // Of 256 colours and true colours only the sixteen with a name are shown.
      const named = numbers[at + 1] === 5 ? colors[(numbers[at + 2] ?? 99) % 8] : undefined;
      if (number === 38 && named !== undefined && (numbers[at + 2] ?? 99) < 16)
        next = [...without(colors), named];
      at += numbers[at + 1] === 5 ? 2 : 4;
    } else if (color !== undefined && (number < 38 || number >= 90)) next = [...without(colors), color];
  }
  return next;
}

function characterName(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}
