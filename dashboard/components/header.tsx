import { change, refresh, route, toHref, view } from "../state/location.ts";
import { nextTheme, theme } from "../state/theme.ts";
import { showHelp } from "./help.tsx";
import { RangePicker } from "./range-picker.tsx";

const pages = [
  { path: "/", name: "Explore" },
  { path: "/live", name: "Live" },
  { path: "/devices", name: "Devices" },
  { path: "/health", name: "Health" },
  { path: "/docs", name: "API" },
] as const;

export function Header() {
  const { utc } = view.value;
  const { path } = route.value;
  return (
    <header class="header">
      <a class="brand" href="/">
        <svg viewBox="0 0 32 32" width="18" height="18" aria-hidden="true">
          <path d="M5 9h22M5 16h15M5 23h8" />
          <circle cx="25" cy="23" r="3.4" />
        </svg>
        Fleetlog
      </a>
      <nav aria-label="Pages">
        {pages.map(({ path: target, name }) => {
          const isHere = target === "/" ? path === "/" : path.startsWith(target);
          return (
            <a key={target} href={toHref({ open: "" }, target)} aria-current={isHere ? "page" : undefined}>
              {name}
            </a>
          );
        })}
      </nav>
      <span class="header-tools">
        {path !== "/live" && path !== "/devices" && path !== "/docs" && <RangePicker />}
        {path !== "/live" && (
          <button type="button" title="Refresh (r)" aria-label="Refresh" onClick={refresh}>
            ↻
          </button>
        )}
        <button
          type="button"
          title="Times in local time or in UTC (u)"
          aria-label={`Times: ${utc ? "UTC" : "Local"}`}
          onClick={() => change({ utc: !utc }, { replace: true })}
        >
          {utc ? "UTC" : "Local"}
        </button>
        <button
          type="button"
          title={`Theme: ${theme.value} (t)`}
          aria-label={`Theme: ${theme.value}`}
          onClick={nextTheme}
        >
          {themeIcons[theme.value]}
        </button>
        <button type="button" title="Keys (?)" aria-label="Keys" onClick={showHelp}>
          ?
        </button>
      </span>
    </header>
  );
}

const themeIcons = { auto: "◐", light: "☀", dark: "☾" };
