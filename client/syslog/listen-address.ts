import { isIP } from "node:net";

export interface ListenAddress {
  readonly protocol: "udp" | "tcp" | "tls";
  /** "": all addresses of this machine. */
  readonly host: string;
  readonly port: number;
}

const form = /^(udp|tcp|tls):\/\/(\[[0-9a-fA-F:.]+\]|[^:[\]/]*):(\d{1,5})$/;

/** Parses `udp://:514,tcp://127.0.0.1:6514`. Throws RangeError. */
export function parseListenAddresses(text: string): readonly ListenAddress[] {
  return text.split(",").map((part) => {
    const [, protocol, host = "", port = ""] = form.exec(part.trim()) ?? [];
    const address = host.replace(/^\[(.*)\]$/, "$1");
    const isValid = address === "" || address === "localhost" || isIP(address) !== 0;
    if (protocol === undefined || !isValid || Number(port) > 65_535) {
      throw new RangeError(
        `${part.trim()}: expected udp://, tcp:// or tls:// with an IP address or none and a port, such as udp://127.0.0.1:5514 or tcp://:6514`,
      );
    }
    return { protocol: protocol as ListenAddress["protocol"], host: address, port: Number(port) };
  });
}

export function describeAddress({ protocol, host, port }: ListenAddress): string {
  return `${protocol}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
