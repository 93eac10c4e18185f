import PQueue from "p-queue";

/** Runs as many jobs at once as there are workers, each job with a worker of its own. */
export class WorkerPool<Worker, Job> {
  readonly #free: Worker[];
  readonly #work: (worker: Worker, job: Job) => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #queue: PQueue;

  /** `onError` gets what `work` throws; the worker goes on with the next job. */
  constructor(
    workers: readonly Worker[],
    work: (worker: Worker, job: Job) => Promise<void>,
    onError: (error: unknown) => void,
  ) {
    this.#free = [...workers];
    this.#work = work;
    this.#onError = onError;
    this.#queue = new PQueue({ concurrency: workers.length });
  }

  /** Queues a job. Callers await {@link waitForCapacity} first: that bounds the queue. */
  submit(job: Job): void {
    this.#queue.add(() => this.#run(job)).catch(this.#onError);
  }

  /** Resolves when no job waits for a worker. */
  waitForCapacity(): Promise<void> {
    return this.#queue.onSizeLessThan(1);
  }

  /** Resolves when every job is done. */
  waitUntilIdle(): Promise<void> {
    return this.#queue.onIdle();
  }

  async #run(job: Job): Promise<void> {
    const worker = this.#free.pop();
    if (worker === undefined) throw new Error("a job was started without a free worker");
    try {
      await this.#work(worker, job);
    } finally {
      this.#free.push(worker);
    }
  }
}
