import { type ProgramOptions, type RunningProgram, startProgram } from "./programs.ts";
import { SupervisedProcess } from "./supervised-process.ts";

/** One of our programs, see {@link Kept}. */
export class ManagedProgram extends SupervisedProcess<RunningProgram> {
  /** More environment for its next starts. */
  env: Readonly<Record<string, string>> = {};

  static async start(options: ProgramOptions): Promise<ManagedProgram> {
    const running = await startProgram(options);
    // Nginx knows the first addresses, so later starts must listen there too.
    const listen = Object.entries(running.addresses).map(([listener, address]) => [
      `${listener.toUpperCase()}_LISTEN`,
      address,
    ]);
    const usual = { ...options.env, ...Object.fromEntries(listen) };
    // A later start may wait for its dependencies as long as it takes: no reason to end it.
    const readyWithinMs = Number.POSITIVE_INFINITY;
    const program: ManagedProgram = new ManagedProgram(options.name, running, (signal) =>
      startProgram({ ...options, env: { ...usual, ...program.env }, signal, readyWithinMs }),
    );
    return program;
  }

  /** host:port of `grpc`, `http` and `admin`, as far as the program has them. */
  get addresses(): Readonly<Record<string, string>> {
    return this.running.addresses;
  }
}
