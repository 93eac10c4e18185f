import type { Failure } from "../api/failure.ts";

export function FailureNotice({ failure, onRetry }: { failure: Failure; onRetry: () => void }) {
  return (
    <div class="notice failure" role="alert">
      <h2>{failure.title}</h2>
      <p>{failure.detail}</p>
      {failure.canRetry && (
        <p>
          <button type="button" class="primary" onClick={onRetry}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}
