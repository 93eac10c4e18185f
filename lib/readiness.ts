/**
 * Collects why a program is not ready, by component. It is ready when no component objects. The components in the
 * constructor object until they report for the first time.
 */
export class Readiness {
  readonly #objections = new Map<string, string>();
  readonly #notes = new Map<string, string>();

  constructor(components: readonly string[]) {
    for (const component of components) this.#objections.set(component, "starting");
  }

  ready(component: string): void {
    this.#objections.delete(component);
  }

  notReady(component: string, reason: string): void {
    this.#objections.set(component, reason);
  }

  /** A message for operators that does not affect readiness; undefined removes it. */
  note(component: string, text: string | undefined): void {
    if (text === undefined) this.#notes.delete(component);
    else this.#notes.set(component, text);
  }

  /** One line per note, `component: text`. */
  get notes(): readonly string[] {
    return [...this.#notes].map(([component, text]) => `${component}: ${text}`);
  }

  /** One line per objecting component, `component: reason`; empty when ready. */
  get reasons(): readonly string[] {
    return [...this.#objections].map(([component, reason]) => `${component}: ${reason}`);
  }

  get isReady(): boolean {
    return this.#objections.size === 0;
  }
}
