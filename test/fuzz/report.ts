import type { BlockResult } from "./run-block.ts";

export function isClean({ failures, broken }: BlockResult): boolean {
  return failures.length === 0 && broken === "";
}

/** What a block found, with the command that makes each failure again. */
export function report(result: BlockResult, seed: number): string {
  const { block, count, seconds, growthMiB, broken } = result;
  const responses = [...result.responses].toSorted(([, a], [, b]) => b - a);
  const again = (index: number) => `npm run fuzz -- --seed ${seed} --block ${block} --index ${index}`;
  return [
    `${isClean(result) ? "held  " : "BROKEN"} ${block}: ${count} cases, seed ${seed}, ${seconds.toFixed(0)} s`,
    ...responses.map(([response, times]) => `  ${String(times).padStart(7)}  ${response}`),
    ...(growthMiB === "" ? [] : [`  growth in MiB: ${growthMiB}`]),
    ...(broken === "" ? [] : [`  afterwards: ${broken}`]),
    ...result.failures.map(
      ({ index, tried, broken }) => `  ${broken}\n    ${tried.slice(0, triedShown)}\n    ${again(index)}`,
    ),
  ].join("\n");
}

const triedShown = 600;
