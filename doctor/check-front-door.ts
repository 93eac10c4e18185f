import { connect as connectHttp2 } from "node:http2";
import { connect as connectTls, type PeerCertificate } from "node:tls";
import { withDeadline } from "#lib/deadline.ts";
import { findReason } from "./check-programs.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const answerMs = 5_000;
const fix = "Start Nginx. If it exits, check its log; another program may use the port.";

/** Whether Nginx lives and finds the gateway ready. */
export async function checkHttp(address: string): Promise<Finding> {
  const check = `http ${address}`;
  try {
    for (const path of ["/livez", "/readyz"]) {
      const response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(answerMs) });
      if (response.status === 421) {
        const name = address.replace(/:\d+$/, "");
        return fail(check, `Nginx rejects the host ${name}`, `Add ${name} to ALLOWED_HOSTS.`);
      }
      const text = (await response.text()).trim().slice(0, 200);
      if (!response.ok)
        return fail(
          check,
          `${path} returned ${response.status} ${text}`,
          "Check which program is not ready.",
        );
    }
    return ok(check, "reachable, and the gateway is ready");
  } catch (error) {
    return fail(check, findReason(error), fix);
  }
}

/** Whether the address speaks cleartext HTTP/2. */
export async function checkGrpc(address: string): Promise<Finding> {
  const check = `grpc ${address}`;
  const session = connectHttp2(`http://${address}`);
  try {
    const settled = new Promise<void>((resolve, reject) => {
      session.once("remoteSettings", () => resolve());
      session.once("error", reject);
    });
    await withDeadline(address, answerMs, settled);
    return ok(check, "speaks HTTP/2");
  } catch (error) {
    return fail(check, findReason(error), fix);
  } finally {
    session.on("error", () => {}); // it was destroyed on purpose
    session.destroy();
  }
}

/** How long the certificate there is good. Whether a client trusts it only that client knows. */
export async function checkCertificate(host: string, port: number, now = Date.now()): Promise<Finding> {
  const check = `tls ${host}:${port}`;
  try {
    const { valid_to: validTo, subject } = await fetchCertificate(host, port);
    const daysLeft = Math.floor((Date.parse(validTo) - now) / 86_400_000);
    const found = `certificate of ${String(subject.CN)} until ${new Date(validTo).toISOString().slice(0, 10)}`;
    const renew = 'Renew it and reload Nginx: see "TLS" in docs/operations/secure.md.';
    if (daysLeft < 0) return fail(check, found, renew);
    return daysLeft < 14 ? warn(check, found, renew) : ok(check, found);
  } catch (error) {
    return fail(check, findReason(error), fix);
  }
}

async function fetchCertificate(host: string, port: number): Promise<PeerCertificate> {
  // Only inspects the certificate: no data is sent to the peer.
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  try {
    const shaken = new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", () => resolve());
      socket.once("error", reject);
    });
    await withDeadline(`${host}:${port}`, answerMs, shaken);
    return socket.getPeerCertificate();
  } finally {
    socket.on("error", () => {}); // it was destroyed on purpose
    socket.destroy();
  }
}
