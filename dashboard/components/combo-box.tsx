import { useEffect, useId, useRef, useState } from "preact/hooks";
import { countText } from "../state/time-text.ts";

export interface Suggestion {
  readonly value: string;
  readonly count?: bigint;
}

interface Props {
  readonly label: string;
  readonly placeholder: string;
  /** The text while the box is not edited. */
  readonly value: string;
  readonly suggest: (typed: string, signal: AbortSignal) => Promise<readonly Suggestion[]>;
  /** Receives a suggestion or the typed text; true keeps the box open for more. */
  readonly onPick: (value: string) => boolean | void;
}

/** A text box with suggestions; it accepts any text. */
export function ComboBox({ label, placeholder, value, suggest, onPick }: Props) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState<string>();
  const [suggestions, setSuggestions] = useState<readonly Suggestion[]>([]);
  const [chosen, setChosen] = useState(-1);
  const isOpen = typed !== undefined && suggestions.length > 0;

  useEffect(() => {
    if (typed === undefined) return;
    const abort = new AbortController();
    const timer = setTimeout(
      () => {
        suggest(typed === value ? "" : typed, abort.signal).then(
          (found) => !abort.signal.aborted && setSuggestions(found),
          // Without suggestions the box still accepts text.
          () => !abort.signal.aborted && setSuggestions([]),
        );
      },
      typed === "" || typed === value ? 0 : 150,
    );
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [typed]);

  const close = () => {
    setTyped(undefined);
    setSuggestions([]);
    setChosen(-1);
  };
  const pick = (picked: string) => {
    if (onPick(picked) === true) {
      setTyped(picked);
      setChosen(-1);
    } else {
      close();
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      setChosen(Math.max(-1, Math.min(suggestions.length - 1, chosen + step)));
      if (typed === undefined) setTyped(value);
    } else if (event.key === "Enter") {
      pick(suggestions[chosen]?.value ?? typed ?? value);
    } else if (event.key === "Escape") {
      close();
      input.current?.blur();
    } else {
      return;
    }
    event.preventDefault();
  };
  return (
    <span class="combo">
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label={label}
        aria-autocomplete="list"
        aria-expanded={isOpen}
        aria-controls={`${id}-list`}
        {...(chosen >= 0 ? { "aria-activedescendant": `${id}-${chosen}` } : {})}
        placeholder={placeholder}
        autocomplete="off"
        spellcheck={false}
        value={typed ?? value}
        onFocus={() => setTyped(value)}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          setChosen(-1);
        }}
        onKeyDown={onKeyDown}
        onBlur={() => {
          if (typed !== undefined && typed !== value) pick(typed);
          close();
        }}
      />
      <ul id={`${id}-list`} role="listbox" aria-label={label} hidden={!isOpen}>
        {suggestions.map((suggestion, index) => (
          <li
            key={suggestion.value}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === chosen}
            onMouseDown={(event) => {
              event.preventDefault();
              pick(suggestion.value);
            }}
          >
            <bdi>{suggestion.value === "" ? "(none)" : suggestion.value}</bdi>
            {suggestion.count !== undefined && <span class="count">{countText(suggestion.count, true)}</span>}
          </li>
        ))}
      </ul>
    </span>
  );
}
