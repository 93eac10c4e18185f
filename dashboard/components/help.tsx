import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const isShown = signal(false);

export function showHelp(): void {
  isShown.value = true;
}

const keys: readonly (readonly [keys: string, what: string])[] = [
  ["/", "Search"],
  ["j  k", "Next, previous record"],
  ["Enter  o", "Open and close a record"],
  ["Esc", "Close, leave a field"],
  ["1  2  3  4", "Explore, Live, Devices, Health"],
  ["w", "Wrap lines"],
  ["u", "Local time or UTC"],
  ["r", "Refresh"],
  ["Space", "Live: pause and resume"],
  ["t", "Theme: system, light, dark"],
  ["?", "This list"],
];

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isShown.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isShown.value]);
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-label="Keys and search"
      onClose={() => {
        isShown.value = false;
      }}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <h2>Keys</h2>
      <table>
        <tbody>
          {keys.map(([key, what]) => (
            <tr key={key}>
              <th scope="row">
                {key.split("  ").map((one) => (
                  <kbd key={one}>{one}</kbd>
                ))}
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>Search</h2>
      <p>
        <code>eth0 "link down" -timeout</code> finds messages with the word eth0 and the phrase in quotes, but
        without the word after the minus, case-insensitive. Drag over the chart to zoom; the back button zooms
        out.
      </p>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
