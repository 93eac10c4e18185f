import { BlockList, isIP } from "node:net";
import type { RequestHead } from "#rpc/admission.ts";

/** Names the client of a request: calls of one name share what one client may have. */
export type ClientNamer = (request: Pick<RequestHead, "headers" | "socket">) => string;

/** An address, or a range of them such as "10.0.0.0/8". */
const proxyForm = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/;

/**
 * The name is the address. What X-Forwarded-For says counts only from a trusted proxy, and of its addresses the last that
 * is none of them: what stands before it, the client may have written. Of IPv6 it is the first 64 bits, which are one
 * network, with more addresses than there are shares.
 */
export function createClientNamer(trustedProxies: readonly string[]): ClientNamer {
  const trusted = toBlockList(trustedProxies);
  const isTrusted = (address: string) => trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return ({ headers, socket }) => {
    let address = plainAddress(socket?.remoteAddress ?? "");
    const forwarded = String(headers["x-forwarded-for"] ?? "").slice(-forwardedCharactersMax);
    const hops = forwarded.split(",").map((hop) => plainAddress(hop.trim()));
    while (isIP(address) !== 0 && isTrusted(address)) {
      const hop = hops.pop();
      if (hop === undefined || isIP(hop) === 0) break;
      address = hop;
    }
    return isIP(address) === 6 ? networkOf(address) : address;
  };
}

/** Whether the text is an address or a range of addresses. */
export function isProxyRange(text: string): boolean {
  const [, address = "", prefix] = proxyForm.exec(text) ?? [];
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return bits > 0 && Number(prefix ?? bits) <= bits;
}

function toBlockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [, address = "", prefix] = proxyForm.exec(range) ?? [];
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    list.addSubnet(address, Number(prefix ?? (family === "ipv6" ? 128 : 32)), family);
  }
  return list;
}

/** IPv4 as such also where it came over a socket of IPv6. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/i, "");
}

function groups(text: string | undefined): string[] {
  return text ? text.split(":") : [];
}

/** The first four groups of an address of IPv6, each without leading zeros. */
function networkOf(address: string): string {
  const [head = "", tail] = address.split("%", 1)[0]!.toLowerCase().split("::");
  const before = groups(head);
  // The last two groups may be written as IPv4.
  const after = groups(tail).flatMap((group) => (group.includes(".") ? ["", ""] : [group]));
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => "0"), ...after];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/** Some hundred hops. */
const forwardedCharactersMax = 4096;
