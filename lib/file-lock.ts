import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/**
 * Locks a file for this process until the process ends, in any way. Uses the kernel's lock on a SQLite file, the only one
 * that Node offers on every system.
 */
export class FileLock implements Disposable {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Creates the file with mode 0600. Undefined when the lock is held, by this process or by another. */
  static acquire(path: string): FileLock | undefined {
    closeSync(openSync(path, "a", fileMode)); // SQLite would make it readable by everyone
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

const fileMode = 0o600;
const sqliteBusy = 5;
