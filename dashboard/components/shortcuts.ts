import { useEffect, useRef } from "preact/hooks";

/**
 * Keys that act outside of text fields: `j`, `/`, `Escape`. A handler returns nothing, or false to leave the
 * key to the browser.
 */
export function useShortcuts(shortcuts: Readonly<Record<string, () => void | boolean>>): void {
  const current = useRef(shortcuts);
  current.current = shortcuts;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const act = current.current[event.key];
      if (act === undefined || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey)
        return;
      if (document.querySelector("dialog[open]") !== null || isTyping(event.target, event.key)) return;
      if (act() !== false) event.preventDefault();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}

function isTyping(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("input, textarea, select") !== null) return true;
  // These keys press a focused button or link.
  return (key === "Enter" || key === " ") && target.closest("button, a, summary") !== null;
}
