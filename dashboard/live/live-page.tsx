import { useEffect, useMemo, useState } from "preact/hooks";
import { filterMessage } from "../api/filter-request.ts";
import { FailureNotice } from "../components/failure-notice.tsx";
import { logKey } from "../components/log-key.ts";
import { LogTable } from "../components/log-table.tsx";
import { useShortcuts } from "../components/shortcuts.ts";
import { FilterBar } from "../explore/filter-bar.tsx";
import { change, toHref, view } from "../state/location.ts";
import { countText } from "../state/time-text.ts";
import { type LiveNote, type LiveState, LiveTail, rowsMax } from "./live-tail.ts";

/** The matching records as they arrive, the newest at the bottom. */
export function LivePage() {
  const { wrap, open } = view.value;
  const filter = filterMessage(view.value);
  const tail = useMemo(() => new LiveTail(filter), [JSON.stringify(filter)]);
  useEffect(() => () => tail.close(), [tail]);
  const [isHeld, setHeld] = useState(false);
  const [isAtEnd, setAtEnd] = useState(true);
  const [endRound, setEndRound] = useState(0);
  const rows = tail.rows.value;
  const isOpen = open !== "" && rows.some((entry) => logKey(entry) === open);
  const isPaused = isHeld || !isAtEnd || isOpen;
  useEffect(() => tail.pause(isPaused), [tail, isPaused]);

  const goOn = () => {
    setHeld(false);
    setAtEnd(true);
    setEndRound((round) => round + 1);
    if (open !== "") change({ open: "" }, { replace: true });
  };
  const toggle = () => (isPaused ? goOn() : setHeld(true));
  useShortcuts({
    " ": toggle,
    w: () => change({ wrap: !wrap }, { replace: true }),
  });

  const failure = tail.failure.value;
  const waiting = tail.waiting.value;
  return (
    <main class="page page-logs">
      <h1 class="off-screen">Live</h1>
      <FilterBar />
      <div class="toolbar">
        <span class="status">
          <span class={dotClass(isPaused, tail.state.value)} />{" "}
          <span role="status">{isPaused ? "Paused" : stateText[tail.state.value]}</span>
          {isPaused && waiting > 0 && `: ${waitingText(waiting)}`}
          {!isPaused && rows.length > 0 && `, ${countText(rows.length)} records here`}
          {rows.length >= rowsMax && " (the newest are kept)"}
        </span>
        {!isAtEnd && (
          <button type="button" onClick={goOn}>
            Jump to the newest ↓
          </button>
        )}
        <button type="button" class={isPaused ? "primary" : ""} title="Space" onClick={toggle}>
          {isPaused ? "Go on" : "Pause"}
        </button>
        <button
          type="button"
          class="quiet"
          aria-pressed={wrap}
          onClick={() => change({ wrap: !wrap }, { replace: true })}
        >
          Wrap
        </button>
      </div>
      {tail.state.value === "failed" && failure ? (
        <FailureNotice failure={failure} onRetry={() => tail.retry()} />
      ) : (
        <LogTable
          rows={rows}
          label="Live records"
          follows={!isPaused}
          endRound={endRound}
          onEnd={setAtEnd}
          noteBefore={(key) => <Note note={tail.notes.value.get(key)} />}
          foot={<Foot tail={tail} />}
        />
      )}
    </main>
  );
}

/** Below the newest record: the state of the tail. */
function Foot({ tail }: { tail: LiveTail }) {
  const note = tail.notes.value.get("");
  const failure = tail.failure.value;
  return (
    <div class="foot" role="row">
      <span role="cell">
        {note && <NoteText note={note} />}
        {failure && `${failure.title}: ${failure.detail}`}
        {!failure &&
          tail.state.value === "interrupted" &&
          "Redis is unreachable. The tail resumes without loss."}
        {tail.state.value === "following" && tail.rows.value.length === 0 && "Waiting for new records."}
      </span>
    </div>
  );
}

function Note({ note }: { note: LiveNote | undefined }) {
  if (note === undefined) return null;
  return (
    <div class="live-note" role="row">
      <span role="cell">
        <NoteText note={note} />
      </span>
    </div>
  );
}

function NoteText({ note: { text, range } }: { note: LiveNote }) {
  return (
    <>
      {text} {range && <a href={toHref({ range, open: "" }, "/")}>Explore that time</a>}
    </>
  );
}

const stateText = {
  connecting: "Connecting …",
  following: "Following",
  interrupted: "Interrupted",
  reconnecting: "Reconnecting …",
  failed: "Stopped",
};

function dotClass(isPaused: boolean, state: LiveState): string {
  if (state === "failed") return "dot silent";
  return isPaused || state !== "following" ? "dot quiet" : "dot";
}

function waitingText(count: number): string {
  return count === 1 ? "1 new record" : `${countText(count)} new records`;
}
