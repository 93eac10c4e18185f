import { type Asked, exportAddress } from "./export-address.ts";

/** Links to all matching records as a file. */
export function ExportLinks({ asked }: { asked: Asked }) {
  return (
    <span class="export">
      Export
      {(["ndjson", "csv"] as const).map((format) => (
        <a key={format} class="button quiet" href={exportAddress(asked, format)} download>
          {format.toUpperCase()}
        </a>
      ))}
    </span>
  );
}
