/**
 * A few workers that take jobs from a queue: as many jobs run at once as there are workers, so that one flush is
 * encoded while another commits.
 */
export class FlushSlots<Worker, Job> {
  readonly #free: Worker[];
  readonly #work: (worker: Worker, job: Job) => Promise<void>;
  readonly #fail: (error: unknown) => void;
  readonly #queue: Job[] = [];
  #running = 0;
  #changed = Promise.withResolvers<void>();

  /** `fail` gets what `work` throws; the worker goes on with the next job. */
  constructor(
    workers: readonly Worker[],
    work: (worker: Worker, job: Job) => Promise<void>,
    fail: (error: unknown) => void,
  ) {
    this.#free = [...workers];
    this.#work = work;
    this.#fail = fail;
  }

  /** Queues a job. Callers wait for {@link room} first: that is what bounds the queue. */
  submit(job: Job): void {
    this.#queue.push(job);
    this.#startNext();
  }

  /** Until no job waits for a worker. */
  async room(): Promise<void> {
    while (this.#queue.length > 0) await this.#changed.promise;
  }

  /** Until every job is done. */
  async idle(): Promise<void> {
    while (this.#queue.length > 0 || this.#running > 0) await this.#changed.promise;
  }

  #startNext(): void {
    while (this.#queue.length > 0 && this.#free.length > 0) {
      const job = this.#queue.shift()!;
      const worker = this.#free.pop()!;
      this.#running += 1;
      this.#work(worker, job)
        .catch(this.#fail)
        .finally(() => {
          this.#running -= 1;
          this.#free.push(worker);
          this.#startNext();
          const changed = this.#changed;
          this.#changed = Promise.withResolvers();
          changed.resolve();
        })
        .catch(this.#fail);
    }
  }
}
