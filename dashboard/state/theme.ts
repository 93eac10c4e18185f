import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const stored = "fleetlog-theme";

/** The system's theme unless the user chose one. Kept in the browser and not in the address, which users share. */
export const theme = signal<Theme>(readTheme());

/** Whether the dark theme is in effect. */
export const isDark = signal(false);

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
const judge = () => {
  isDark.value = theme.value === "dark" || (theme.value === "auto" && systemIsDark.matches);
};
systemIsDark.addEventListener("change", judge);

effect(() => {
  judge();
  document.documentElement.dataset["theme"] = isDark.value ? "dark" : "light";
});

export function nextTheme(): void {
  theme.value = theme.value === "auto" ? (isDark.value ? "light" : "dark") : "auto";
  try {
    window.localStorage.setItem(stored, theme.value);
  } catch {
    // Storage may be forbidden: the choice then lasts until a reload.
  }
}

function readTheme(): Theme {
  try {
    const text = window.localStorage.getItem(stored);
    return text === "light" || text === "dark" ? text : "auto";
  } catch {
    return "auto";
  }
}
