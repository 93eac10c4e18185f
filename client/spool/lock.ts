import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileMode } from "#client/spool/segment.ts";

/**
 * Holds a file for this process alone, as long as it lives, however it dies: the kernel's lock on a SQLite file, the only
 * one that Node has on every system.
 */
export class FileLock implements Disposable {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Undefined when somebody holds it, in this process or in another. */
  static take(path: string): FileLock | undefined {
    closeSync(openSync(path, "a", fileMode)); // SQLite would make it readable by everybody
    chmodSync(path, fileMode);
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      return new FileLock(database);
    } catch (error) {
      database.close();
      if ((error as { errcode?: number }).errcode === sqliteBusy) return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

const sqliteBusy = 5;
