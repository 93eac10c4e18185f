import type { Step } from "./system.ts";

/** Prints one line for every step when it is done, with its milliseconds: plain lines, so that a file or CI can have them. */
export function stepPrinter(write: (line: string) => void): Step {
  return async (title, work, detail) => {
    const startedAt = performance.now();
    try {
      const result = await work();
      const ms = `${Math.round(performance.now() - startedAt)} ms`.padStart(9);
      write(`  ✓ ${title.padEnd(26)}${ms}   ${detail?.(result) ?? ""}`.trimEnd());
      return result;
    } catch (error) {
      write(`  ✗ ${title}`);
      throw error;
    }
  };
}
