/**
 * Why a program is not ready, by the part that says so. A program is ready when no part objects.
 * Parts that must speak before the first "ready" are named in the constructor and object until they do.
 */
export class Readiness {
  readonly #objections = new Map<string, string>();
  readonly #notes = new Map<string, string>();

  constructor(parts: readonly string[]) {
    for (const part of parts) this.#objections.set(part, "starting");
  }

  ready(part: string): void {
    this.#objections.delete(part);
  }

  notReady(part: string, reason: string): void {
    this.#objections.set(part, reason);
  }

  /** Something an operator should know although the program is ready, until it is called with undefined. */
  note(part: string, text: string | undefined): void {
    if (text === undefined) this.#notes.delete(part);
    else this.#notes.set(part, text);
  }

  /** One line per note, `part: text`. */
  get notes(): readonly string[] {
    return [...this.#notes].map(([part, text]) => `${part}: ${text}`);
  }

  /** One line per objecting part, `part: reason`; empty when ready. */
  get reasons(): readonly string[] {
    return [...this.#objections].map(([part, reason]) => `${part}: ${reason}`);
  }

  get isReady(): boolean {
    return this.#objections.size === 0;
  }
}
