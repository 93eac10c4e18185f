import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { LoadJob, LoadResult } from "#bench/path/load.ts";
import { withDeadline } from "#lib/deadline.ts";

// The benchmark's load and reference servers run in their own processes, so that they share no event loop
// with the measured programs. They exit when the benchmark releases them or dies.

/** Starts a server that reports its address: http2-echo.ts or grpc-without-append.ts. */
export async function startPeer(
  script: "http2-echo.ts" | "grpc-without-append.ts",
  ...args: readonly string[]
): Promise<{ address: string; pid: number } & Disposable> {
  const child = forkScript(script, args);
  const address = String(await nextMessage(child, `start of ${script}`, 30_000));
  return { address, pid: child.pid ?? 0, [Symbol.dispose]: () => child.disconnect() };
}

/** Starts the load generator of load.ts with a pool of `batches` batches. */
export async function startLoad(
  batches: number,
  recordsPerBatch: number,
): Promise<{ run(job: LoadJob): Promise<LoadResult> } & Disposable> {
  const child = forkScript("load.ts", [String(batches), String(recordsPerBatch)]);
  await nextMessage(child, "start of the load", 60_000);
  return {
    async run(job) {
      child.send(job);
      return (await nextMessage(child, `${job.batches} batches by ${job.rpc}`, 120_000)) as LoadResult;
    },
    [Symbol.dispose]: () => child.disconnect(),
  };
}

/** Starts idle-streams.ts, which holds its streams until it is released. */
export async function startIdleStreams(
  target: string,
  streams: number,
): Promise<{ count: number } & Disposable> {
  const child = forkScript("idle-streams.ts", [target, String(streams)]);
  const count = Number(await nextMessage(child, `opening ${streams} streams`, 120_000));
  return { count, [Symbol.dispose]: () => child.disconnect() };
}

function forkScript(script: string, args: readonly string[]): ChildProcess {
  return fork(new URL(script, import.meta.url), args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

async function nextMessage(child: ChildProcess, what: string, withinMs: number): Promise<unknown> {
  const exited = new AbortController();
  const onExit = (code: number | null) => exited.abort(new Error(`${what}: ended with exit code ${code}`));
  child.once("exit", onExit);
  try {
    const [message] = await withDeadline(what, withinMs, once(child, "message", { signal: exited.signal }));
    return message;
  } finally {
    child.off("exit", onExit);
  }
}
