import { z } from "zod";
import { ConfigError, listenAddress, word } from "#lib/config.ts";
import type { TlsSettings } from "./render.ts";

/** The variables of the listener with TLS, for {@link tlsSettings}. */
export const tlsShape = {
  TLS_CERT: pemFile().optional(),
  TLS_KEY: pemFile().optional(),
  TLS_CLIENT_CA: pemFile().optional(),
  TLS_CLIENT_CERT_FOR: word("ingest", "everything").prefault("ingest"),
  TLS_SERVES: word("ingest", "everything").optional(),
  TLS_LISTEN: listenAddress().prefault("0.0.0.0:8443"),
};

/** Undefined without TLS_CERT and TLS_KEY; throws a ConfigError when only one of them is there, or a client CA alone. */
export function tlsSettings(values: z.output<z.ZodObject<typeof tlsShape>>): TlsSettings | undefined {
  const { TLS_CERT: certificateFile, TLS_KEY: keyFile, TLS_CLIENT_CA: clientCaFile } = values;
  if (certificateFile === undefined || keyFile === undefined) {
    if (certificateFile || keyFile || clientCaFile) {
      throw new ConfigError(["TLS_CERT and TLS_KEY: expected both, or neither and no TLS_CLIENT_CA"]);
    }
    return undefined;
  }
  return {
    listen: addressText(values.TLS_LISTEN),
    certificateFile,
    keyFile,
    ...(clientCaFile && { clientCaFile }),
    certificatesFor: values.TLS_CLIENT_CERT_FOR,
    // This listener is for the outside: reading there is closed unless it was opened, or asks for a certificate.
    serves: values.TLS_SERVES ?? (clientCaFile ? values.TLS_CLIENT_CERT_FOR : "ingest"),
  };
}

/** As Nginx wants it, with brackets around an IPv6 address. */
export function addressText({ host, port }: { host: string; port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function pemFile() {
  return z
    .string()
    .regex(/^[^"$\\\n;]+$/, "expected the path of a PEM file without quotes, dollar signs and semicolons");
}
