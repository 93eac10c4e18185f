import { isIP } from "node:net";
import { z } from "zod";

/*
 * Protection against DNS rebinding: a page of evil.example makes its own name resolve to 127.0.0.1 or to another address
 * behind a firewall, and its scripts then read and send there, because the browser sees one origin. The browser still
 * sends the name that it resolved, so a listener serves only the names it is meant to have. DNS cannot redirect an IP
 * address, so addresses are always allowed; probes and Prometheus use them.
 */

/** Returns why the request is refused; undefined when it is for this listener. */
export type HostCheck = (request: { readonly rawHeaders: readonly string[] }) => string | undefined;

/**
 * Allows localhost, every IP address and `allowed`: names, "*.example.org" for all names below, "*" for any host. Checks
 * every Host header and :authority; a request needs at least one, and all must be allowed.
 */
export function createHostCheck(allowed: readonly string[]): HostCheck {
  const isAllowed = createHostMatcher(allowed);
  return ({ rawHeaders }) => {
    let found = 0;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] ?? "";
      if (name !== ":authority" && (name.length !== 4 || name.toLowerCase() !== "host")) continue;
      found += 1;
      const host = rawHeaders[index + 1] ?? "";
      if (!isAllowed(host)) return misdirected(`host ${JSON.stringify(host.slice(0, 260))} is not allowed`);
    }
    return found > 0 ? undefined : misdirected("the request has no host");
  };
}

/** Returns a function that is true for a Host header, with or without a port, of an allowed host. */
export function createHostMatcher(allowed: readonly string[]): (host: string) => boolean {
  if (allowed.includes("*")) return () => true;
  const names = new Set(["localhost", ...allowed.filter((host) => !host.startsWith("*.")).map(lowerCase)]);
  const endings = allowed.filter((host) => host.startsWith("*.")).map((host) => host.slice(1).toLowerCase());
  return (host) => {
    const [, bracketed, plain = ""] = hostForm.exec(host) ?? [];
    if (bracketed !== undefined) return isIP(bracketed) === 6;
    const name = plain.replace(/\.$/, "").toLowerCase();
    return names.has(name) || isIP(name) === 4 || endings.some((ending) => name.endsWith(ending));
  };
}

/** The variable ALLOWED_HOSTS. */
export function allowedHosts() {
  const form = 'expected comma-separated names, such as "logs.example.org,*.fleet.example.org", or "*"';
  return z
    .string(form)
    .transform((value) => value.split(",").map((one) => one.trim().toLowerCase()))
    .refine((all) => all.length <= 100 && all.every((one) => one === "*" || allowedForm.test(one)), form)
    .transform((all) => all.filter((one) => one !== "localhost")) // allowed anyway
    .prefault("localhost");
}

function misdirected(problem: string): string {
  return `${problem}: expected localhost, an IP address, or a name listed in ALLOWED_HOSTS`;
}

function lowerCase(text: string): string {
  return text.toLowerCase();
}

/** [IPv6] or anything without a colon, and a port. */
const hostForm = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^:[\]]{1,254}))(?::\d{0,5})?$/;
const allowedForm = /^(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?$/;
