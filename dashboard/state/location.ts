import { computed, signal } from "@preact/signals";
import { readView, type View, writeView } from "./view.ts";

/** The current path and query: the one source of the dashboard's state. */
export const route = signal(toRoute(window.location));
export const view = computed(() => readView(new URLSearchParams(route.value.search)));

/** Increases when the data shall be requested again. */
export const refreshes = signal(0);

export function refresh(): void {
  refreshes.value += 1;
}

window.addEventListener("popstate", () => {
  route.value = toRoute(window.location);
});

/** Applies the changes to the view. The back button returns to the view before, except after `replace`. */
export function change(changes: Partial<View>, { replace = false, path = route.value.path } = {}): void {
  const href = toHref(changes, path);
  if (href === route.value.path + route.value.search) return;
  if (replace) window.history.replaceState(null, "", href);
  else window.history.pushState(null, "", href);
  route.value = toRoute(window.location);
}

/** The address of the dashboard with these changes, for links. */
export function toHref(changes: Partial<View>, path = route.value.path): string {
  const parameters = writeView({ ...view.value, ...changes }).toString();
  return parameters === "" ? path : `${path}?${parameters}`;
}

/**
 * Lets links within the dashboard change the state without a reload; with a modifier key the browser follows
 * the link.
 */
export function followLinks(event: MouseEvent): void {
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  const link = (event.target as Element).closest("a");
  if (
    link === null ||
    link.origin !== window.location.origin ||
    link.target !== "" ||
    link.hash !== "" ||
    link.hasAttribute("download")
  )
    return;
  if (!isPagePath(link.pathname)) return;
  event.preventDefault();
  window.history.pushState(null, "", link.href);
  route.value = toRoute(window.location);
  window.scrollTo(0, 0);
}

function isPagePath(path: string): boolean {
  return path === "/" || /^\/(live|devices|health|docs)(\/|$)/.test(path);
}

function toRoute({ pathname, search }: Location): { readonly path: string; readonly search: string } {
  return { path: pathname, search };
}
