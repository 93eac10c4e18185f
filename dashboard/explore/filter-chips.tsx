import { change, view } from "../state/location.ts";
import { type AttributeFilter, hasFilter, noFilter, type View } from "../state/view.ts";

/** The conditions in force; each can be taken away. */
export function FilterChips() {
  const filter = view.value;
  const chips = chipsOf(filter);
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

interface Chip {
  readonly name: string;
  readonly value: string | undefined;
  readonly isExcluded: boolean;
  /** The changes that take the condition away. */
  readonly without: Partial<View>;
}

function chipsOf(filter: View): Chip[] {
  const chips: Chip[] = [];
  const add = (name: string, value: string | undefined, without: Partial<View>, isExcluded = false) =>
    chips.push({ name, value, isExcluded, without });
  for (const device of filter.devices)
    add("device", device, { devices: filter.devices.filter((d) => d !== device) });
  for (const device of filter.excludedDevices) {
    add("device", device, { excludedDevices: filter.excludedDevices.filter((d) => d !== device) }, true);
  }
  if (filter.session !== "") add("session", filter.session, { session: "" });
  if (filter.levels.length > 0)
    add("levels", filter.levels.map(({ label }) => label).join(" "), { levels: [] });
  if (filter.logger !== "") add("logger", `${filter.logger}…`, { logger: "" });
  for (const logger of filter.excludedLoggers) {
    add(
      "logger",
      `${logger}…`,
      { excludedLoggers: filter.excludedLoggers.filter((l) => l !== logger) },
      true,
    );
  }
  for (const one of filter.attributes) add(one.name, one.value, { attributes: rest(filter.attributes, one) });
  for (const one of filter.excludedAttributes) {
    add(one.name, one.value, { excludedAttributes: rest(filter.excludedAttributes, one) }, true);
  }
  return chips;
}

function rest(filters: readonly AttributeFilter[], one: AttributeFilter): readonly AttributeFilter[] {
  return filters.filter((each) => each !== one);
}
