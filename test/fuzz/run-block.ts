import { type Block, type BlockRun, BrokenPromiseError, caseRandom } from "./block.ts";
import type { Target } from "./target.ts";

interface Failure {
  readonly index: number;
  readonly tried: string;
  readonly broken: string;
}

export interface BlockResult {
  readonly block: string;
  readonly count: number;
  /** How often there was which answer. */
  readonly responses: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
  /** The problems of the system afterwards; empty without any. */
  readonly broken: string;
  /** How much each process grew. */
  readonly growthMiB: string;
  readonly seconds: number;
}

/** The rest of a block that fails all over would say nothing new. */
const failuresMax = 20;

/** A case that takes longer has found something that hangs: longer than it takes to notice that a peer is gone. */
const caseTimeoutMs = 150_000;

/** Does the cases `indexes` of a block; after a tenth of them memory is measured, so that two warm states are compared. */
export async function runBlock(
  target: Target,
  block: Block,
  seed: number,
  indexes: readonly number[],
): Promise<BlockResult> {
  const startedAt = performance.now();
  const responses = new Map<string, number>();
  const failures: Failure[] = [];
  let growthMiB = "";
  let broken = "";
  try {
    await target.begin();
    const run = await block.start(target);
    const through = (some: readonly number[]) => runWorkers({ run, block, seed, responses, failures }, some);
    const warm = Math.ceil(indexes.length / 10);
    await through(indexes.slice(0, warm));
    await target.measure();
    await through(indexes.slice(warm));
    await run.finish();
    growthMiB = await target.judge();
  } catch (error) {
    broken = error instanceof BrokenPromiseError ? error.message : described(error);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return { block: block.name, count: indexes.length, responses, failures, broken, growthMiB, seconds };
}

interface Progress {
  readonly run: BlockRun;
  readonly block: Block;
  readonly seed: number;
  readonly responses: Map<string, number>;
  readonly failures: Failure[];
}

async function runWorkers(progress: Progress, indexes: readonly number[]): Promise<void> {
  const left = indexes.values();
  const worker = async () => {
    for (const index of left) {
      if (progress.failures.length >= failuresMax) return;
      await tryOne(progress, index);
    }
  };
  await Promise.all(Array.from({ length: progress.block.workers }, worker));
}

async function tryOne({ run, block, seed, responses, failures }: Progress, index: number): Promise<void> {
  let tried = "";
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new BrokenPromiseError("no end of it")), caseTimeoutMs);
  try {
    const responding = run.tryOne(caseRandom(seed, block.name, index), index, (what) => (tried = what));
    const response = await Promise.race([responding, late.promise]);
    responses.set(response, (responses.get(response) ?? 0) + 1);
  } catch (error) {
    failures.push({
      index,
      tried,
      broken: error instanceof BrokenPromiseError ? error.message : described(error),
    });
  } finally {
    clearTimeout(timer);
  }
}

function described(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
