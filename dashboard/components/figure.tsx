import type { ComponentChild } from "preact";

interface Props {
  readonly name: string;
  readonly note?: string;
  readonly isBad?: boolean;
  readonly children: ComponentChild;
}

/** One number with its name and a note. */
export function Figure({ name, note, isBad = false, children }: Props) {
  return (
    <div class={`figure${isBad ? " bad" : ""}`}>
      <dt>{name}</dt>
      <dd class="figure-value">{children}</dd>
      {note !== undefined && <dd class="note">{note}</dd>}
    </div>
  );
}
