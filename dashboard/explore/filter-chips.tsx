import { change, view } from "../state/location.ts";
import { hasFilter, noFilter } from "../state/view.ts";
import { listChips } from "./chips.ts";

/** The conditions in force, each with a button that removes it. */
export function FilterChips() {
  const filter = view.value;
  const chips = listChips(filter);
  if (chips.length === 0) return null;
  return (
    <div class="chips">
      {chips.map(({ name, value, isExcluded, without }) => (
        <span class={`chip${isExcluded ? " excluded" : ""}`} key={`${isExcluded}${name}${value}`}>
          <span class="chip-text">
            {isExcluded ? "not " : ""}
            <bdi>{name}</bdi>
            {value === undefined ? "" : ": "}
            <bdi>{value}</bdi>
          </span>
          <button
            type="button"
            aria-label={`Remove the condition ${name}`}
            onClick={() => change({ ...without, open: "" })}
          >
            ×
          </button>
        </span>
      ))}
      {hasFilter(filter) && (
        <button type="button" class="quiet" onClick={() => change({ ...noFilter, open: "" })}>
          Clear all
        </button>
      )}
    </div>
  );
}
