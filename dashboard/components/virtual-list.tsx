import type { ComponentChild, Ref } from "preact";
import { useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { RowHeights } from "./row-heights.ts";

export interface VirtualListHandle {
  /** Scrolls the minimum that shows the row. */
  show(index: number): void;
  showEnd(): void;
}

interface Props {
  readonly keys: readonly string[];
  readonly render: (index: number) => ComponentChild;
  readonly label: string;
  /** A new value invalidates all heights. */
  readonly layout: string;
  /** Rendered below the last row. */
  readonly foot?: ComponentChild;
  /** Stays at the end as rows are added, while the user has scrolled to the end. */
  readonly follows?: boolean;
  readonly onNearEnd?: () => void;
  /** Whether the list is scrolled to its end; called on each change. */
  readonly onEnd?: (isAtEnd: boolean) => void;
  readonly handle: Ref<VirtualListHandle>;
}

/** A list that renders only the rows near the viewport. Rows may have any height, which is measured. */
export function VirtualList({ keys, render, label, layout, foot, follows, onNearEnd, onEnd, handle }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const [, measuredAgain] = useState(0);
  const heights = useMemo(() => new RowHeights(rowHeight), []);
  const wasAtEnd = useRef(true);
  const following = useRef(follows);
  following.current = follows;
  useMemo(() => heights.setKeys(keys), [keys]);
  useMemo(() => heights.forget(), [layout]);

  const first = Math.max(0, heights.indexAt(view.top) - overscan);
  const last = Math.min(keys.length - 1, heights.indexAt(view.top + view.height) + overscan);
  const shown = Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => first + place);

  const readScroll = () => {
    const element = scroller.current;
    if (element === null) return;
    const { scrollTop: top, clientHeight: height, scrollHeight } = element;
    const isAtEnd = top + height >= scrollHeight - 4;
    if (isAtEnd !== wasAtEnd.current) onEnd?.(isAtEnd);
    wasAtEnd.current = isAtEnd;
    setView((before) => (before.top === top && before.height === height ? before : { top, height }));
  };

  // Before the browser paints: measures estimated rows and keeps the visible ones in place.
  useLayoutEffect(() => {
    const [element, body] = [scroller.current, rows.current];
    if (element === null || body === null) return;
    const anchor = heights.indexAt(element.scrollTop);
    const before = heights.top(anchor);
    const measured = new Map<string, number>();
    [...body.children].forEach((row, place) => {
      const key = keys[first + place];
      if (key !== undefined) measured.set(key, row.getBoundingClientRect().height);
    });
    const moved = heights.note(measured);
    if (moved) measuredAgain((round) => round + 1);
    if (follows && wasAtEnd.current) element.scrollTop = element.scrollHeight;
    else if (moved && heights.top(anchor) !== before) element.scrollTop += heights.top(anchor) - before;
    if (keys.length > 0 && heights.total - view.top - view.height < nearEnd) onNearEnd?.();
  });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    let width = element.clientWidth;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth !== width) heights.forget();
      width = element.clientWidth;
      if (following.current && wasAtEnd.current) element.scrollTop = element.scrollHeight;
      readScroll();
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useImperativeHandle(handle, () => ({
    show(index) {
      const element = scroller.current;
      if (element === null) return;
      const [top, bottom] = [heights.top(index), Math.min(heights.top(index + 1), heights.top(index) + 200)];
      if (top < element.scrollTop) element.scrollTop = top;
      else if (bottom > element.scrollTop + element.clientHeight)
        element.scrollTop = bottom - element.clientHeight;
    },
    showEnd() {
      const element = scroller.current;
      if (element === null) return;
      element.scrollTop = element.scrollHeight;
      wasAtEnd.current = true; // rows that arrive before the scroll event are followed
    },
  }));

  return (
    <div class="rows" role="rowgroup" tabIndex={0} aria-label={label} ref={scroller} onScroll={readScroll}>
      <div class="rows-space" style={{ height: `${heights.total}px` }}>
        <div class="rows-shown" ref={rows} style={{ transform: `translateY(${heights.top(first)}px)` }}>
          {shown.map((index) => (
            <div key={keys[index]}>{render(index)}</div>
          ))}
        </div>
      </div>
      {foot}
    </div>
  );
}

const rowHeight = 22;
const overscan = 12;
/** At this distance from the end, in pixels, the next page is requested. */
const nearEnd = 4000;
