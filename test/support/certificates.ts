import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import forge from "node-forge";

const { md, pki } = forge;

const dayMs = 86_400_000;

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority that lives as long as a test. */
export class TestCa {
  readonly cert: string;
  readonly #name: string;
  readonly #keys = newKeys();

  constructor(name = "Test CA") {
    this.#name = name;
    this.cert = this.#sign(name, this.#keys.publicKey, 1, [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
      { name: "subjectKeyIdentifier" },
    ]);
  }

  /** For a server at 127.0.0.1 and localhost, or for a client, which only has a name; negative days: expired since. */
  issue(name: string, { days = 1 }: { days?: number } = {}): Certificate {
    const { publicKey, privateKeyPem } = newKeys();
    const cert = this.#sign(name, publicKey, days, [
      { name: "basicConstraints", cA: false },
      {
        name: "subjectAltName",
        altNames: [
          { type: 7, ip: "127.0.0.1" },
          { type: 2, value: "localhost" },
        ],
      },
    ]);
    return { cert, key: privateKeyPem };
  }

  #sign(name: string, publicKey: forge.pki.PublicKey, days: number, extensions: object[]): string {
    const certificate = pki.createCertificate();
    certificate.serialNumber = `01${Math.floor(Math.random() * 1e9)}`; // a renewed one is another
    certificate.publicKey = publicKey;
    certificate.validity.notBefore = new Date(Date.now() + (Math.min(days, 0) - 1) * dayMs);
    certificate.validity.notAfter = new Date(Date.now() + days * dayMs);
    certificate.setSubject([{ name: "commonName", value: name }]);
    certificate.setIssuer([{ name: "commonName", value: this.#name }]);
    certificate.setExtensions(extensions);
    certificate.sign(this.#keys.privateKey, md.sha256.create());
    return pki.certificateToPem(certificate);
  }
}

/** Writes `<path>.crt` and `<path>.key`, and returns their names as the settings want them. */
export function writeCertificate(path: string, { cert, key }: Certificate) {
  const files = { certificateFile: `${path}.crt`, keyFile: `${path}.key` };
  writeFileSync(files.certificateFile, cert);
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  return files;
}

/** Uses Node's crypto, a hundred times faster than JavaScript. */
function newKeys() {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return {
    publicKey: pki.publicKeyFromPem(publicKey),
    privateKey: pki.privateKeyFromPem(privateKey),
    privateKeyPem: privateKey,
  };
}
