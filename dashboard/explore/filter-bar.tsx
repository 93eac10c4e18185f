import { useEffect, useRef, useState } from "preact/hooks";
import { ComboBox } from "../components/combo-box.tsx";
import { useShortcuts } from "../components/shortcuts.ts";
import { filterFor } from "../state/filter-actions.ts";
import { change, view } from "../state/location.ts";
import { levelNamed, severityLevels } from "../state/severity-level.ts";
import { readAttribute } from "../state/view.ts";
import { FilterChips } from "./filter-chips.tsx";
import { suggestAttributes, suggestDevices, suggestLoggers } from "./suggest.ts";

/** The controls of the filter, the same for stored and live records. */
export function FilterBar() {
  const filter = view.value;
  return (
    <search class="filter">
      <div class="filter-bar">
        <SearchBox />
        <ComboBox
          label="Device"
          placeholder="Device"
          value=""
          suggest={(typed, signal) => suggestDevices(filter, typed, signal)}
          onPick={(device) => {
            if (device === "" || filter.devices.includes(device)) return;
            change({
              devices: [...filter.devices, device],
              excludedDevices: filter.excludedDevices.filter((each) => each !== device),
              open: "",
            });
          }}
        />
        <select
          aria-label="Minimum severity"
          value={filter.minLevel?.name ?? ""}
          onChange={(event) =>
            change({ minLevel: levelNamed(event.currentTarget.value), levels: [], open: "" })
          }
        >
          <option value="">All levels</option>
          {severityLevels.slice(1).map(({ name, label }) => (
            <option key={name} value={name}>
              {name === "fatal" ? label : `${label} and above`}
            </option>
          ))}
        </select>
        <ComboBox
          label="Logger"
          placeholder="Logger begins with"
          value=""
          suggest={(typed, signal) => suggestLoggers(filter, typed, signal)}
          onPick={(logger) => {
            if (logger !== "") change({ logger, open: "" });
          }}
        />
        <ComboBox
          label="Attribute"
          placeholder="Attribute: name=value"
          value=""
          suggest={(typed, signal) => suggestAttributes(filter, typed, signal)}
          onPick={(typed) => {
            if (typed === "") return false;
            if (typed.endsWith("=")) return true;
            change({ ...filterFor(filter, { field: "attribute", ...readAttribute(typed) }), open: "" });
            return false;
          }}
        />
      </div>
      <FilterChips />
    </search>
  );
}

/**
 * Searches shortly after the last key, so that the back button goes from search to search and not from letter
 * to letter.
 */
function SearchBox() {
  const { search } = view.value;
  const [typed, setTyped] = useState(search);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => setTyped(search), [search]);
  useEffect(() => {
    if (typed === search) return;
    const timer = setTimeout(() => change({ search: typed, open: "" }), 600);
    return () => clearTimeout(timer);
  }, [typed]);
  useShortcuts({
    "/": () => {
      box.current?.focus();
      box.current?.select();
    },
  });
  return (
    <input
      ref={box}
      class="search-box"
      type="search"
      aria-label="Search messages"
      placeholder={'Search messages:  words  "a phrase"  -without'}
      title="Words in any order, a phrase in quotes, a minus to exclude a word or phrase"
      maxLength={256}
      autocomplete="off"
      spellcheck={false}
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") change({ search: typed, open: "" });
        else if (event.key === "Escape") box.current?.blur();
        else return;
        event.preventDefault();
      }}
    />
  );
}
