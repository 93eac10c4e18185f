import type { ComponentChild } from "preact";
import { splitAnsi } from "./ansi-text.ts";

/** The text of a log with the device's colours and the marked words; none of it is interpreted as markup. */
export function LogText({ text, marks }: { text: string; marks: readonly string[] }) {
  return (
    <bdi>
      {splitAnsi(text).map(({ text, styles, isControl }) => {
        if (isControl) return <span class="control-character">{text}</span>;
        const content = markedText(text, marks);
        return styles.length === 0 ? (
          content
        ) : (
          <span class={styles.map((s) => `ansi-${s}`).join(" ")}>{content}</span>
        );
      })}
    </bdi>
  );
}

function markedText(text: string, marks: readonly string[]): ComponentChild {
  if (marks.length === 0) return text;
  const pattern = marks.map((mark) => mark.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|");
  const pieces = text.split(new RegExp(`(${pattern})`, "iu"));
  if (pieces.length === 1) return text;
  return pieces.map((piece, index) => (index % 2 === 1 ? <mark>{piece}</mark> : piece));
}
