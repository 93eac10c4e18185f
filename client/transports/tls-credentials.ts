import { readFileSync } from "node:fs";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";

/** PEM files. */
export interface TlsFiles {
  /** The CAs to trust; absent: those that Node brings along. */
  readonly ca?: string | undefined;
  /** The device's own certificate and its key: both or neither. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** For a channel with TLS. Throws, naming the file, when one cannot be read or is no such thing. */
export function tlsCredentials({ ca, cert, key }: TlsFiles): ChannelCredentials {
  if ((cert === undefined) !== (key === undefined))
    throw new Error("--cert and --key: expected both, or neither");
  return credentials.createSsl(read(ca), read(key), read(cert));
}

function read(file: string | undefined): Buffer | null {
  return file === undefined ? null : readFileSync(file);
}
