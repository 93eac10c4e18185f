import { copy } from "../components/copy.ts";
import { refresh } from "../state/location.ts";

/** Shows how to send the first log. */
export function FirstLog() {
  const body =
    '{"batch":{"deviceId":"host-1","records":[{"severity":"SEVERITY_INFO","message":"hello, fleet"}]}}';
  const push = `curl -sS ${window.location.origin}/fleetlog.v1.IngestService/PushLogs -H 'content-type: application/json' \\\n  -d '${body}'`;
  const file = "npx fleetlog send --device host-1 /var/log/dpkg.log";
  return (
    <div class="notice">
      <h2>No logs yet: send the first</h2>
      <Command what="One record" command={push} />
      <Command what="A file, line by line" command={file} />
      <p>
        <button type="button" class="primary" onClick={refresh}>
          Look again
        </button>
      </p>
    </div>
  );
}

function Command({ what, command }: { what: string; command: string }) {
  return (
    <div class="command">
      <span>{what}</span>
      <pre tabIndex={0}>{command}</pre>
      <button type="button" onClick={() => void copy("Command", command)}>
        Copy
      </button>
    </div>
  );
}
