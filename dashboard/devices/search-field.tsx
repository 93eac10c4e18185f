import { useEffect, useRef, useState } from "preact/hooks";
import { useShortcuts } from "../components/shortcuts.ts";

interface Props {
  readonly label: string;
  readonly value: string;
  /** Called 250 ms after the last key. */
  readonly onSearch: (text: string) => void;
}

export function SearchField({ label, value, onSearch }: Props) {
  const [typed, setTyped] = useState(value);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return;
    const timer = setTimeout(() => onSearch(typed), 250);
    return () => clearTimeout(timer);
  }, [typed]);
  useShortcuts({ "/": () => box.current?.focus() });
  return (
    <input
      ref={box}
      type="search"
      class="search-box"
      aria-label={label}
      placeholder={label}
      maxLength={128}
      autocomplete="off"
      spellcheck={false}
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => event.key === "Escape" && box.current?.blur()}
    />
  );
}
