import assert from "node:assert/strict";
import { test } from "node:test";
import { retry } from "./retry.ts";

const backoff = { baseMs: 1, capMs: 2 };

/** Fails with `errors` in turn, then succeeds. */
function failing(errors: readonly Error[]): () => Promise<string> {
  const left = [...errors];
  return async () => {
    const error = left.shift();
    if (error !== undefined) throw error;
    return "done";
  };
}

function unexpected(): never {
  assert.fail("reported");
}

test("retries until it succeeds, and reports every failure with its number", async () => {
  const seen: unknown[] = [];
  const errors = [new Error("first"), new Error("second"), new Error("third")];
  const result = await retry(failing(errors), {
    backoff,
    onFailure: (error, failures) => seen.push([error, failures]),
  });
  assert.equal(result, "done");
  assert.deepEqual(
    seen,
    errors.map((error, index) => [error, index + 1]),
  );
});

test("throws a final error at once, without reporting it", async () => {
  const final = new Error("final");
  await assert.rejects(
    retry(failing([final]), { backoff, onFailure: unexpected, isFinal: (error) => error === final }),
    final,
  );
});

test("throws an error that is final after the wait once it is reported and waited for", async () => {
  const seen: string[] = [];
  const error = new Error("too slow");
  await assert.rejects(
    retry(failing([error]), {
      backoff,
      onFailure: () => seen.push("failed"),
      isFinalAfterWait: () => true,
    }),
    error,
  );
  assert.deepEqual(seen, ["failed"]);
});

test("ends a wait when the signal is aborted, and attempts nothing after it", async () => {
  const stop = new AbortController();
  let attempts = 0;
  const retrying = retry(
    async () => {
      attempts += 1;
      throw new Error("away");
    },
    { backoff: { baseMs: 60_000, capMs: 60_000 }, onFailure: () => stop.abort(), signal: stop.signal },
  );
  await assert.rejects(retrying, { name: "AbortError" });
  assert.equal(attempts, 1);
});
