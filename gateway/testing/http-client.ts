/** A response in JSON, with the fields that tests read. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly logs: readonly {
      readonly time: string;
      readonly message: string;
      readonly attributes: object;
    }[];
    readonly devices: readonly { readonly deviceId: string }[];
    readonly nextPageToken: string;
    readonly code: string;
    readonly message: string;
    readonly details: readonly {
      readonly type: string;
      readonly debug: { readonly fieldViolations: readonly { readonly field: string }[] };
    }[];
    readonly addresses: readonly string[];
  } & Readonly<Record<string, unknown>>;
}

/** `get` with parameters, and `post` of JSON or of another content type. */
export function createHttpClient(baseUrl: string) {
  async function get(path: string, init?: RequestInit): Promise<HttpResponse> {
    const response = await fetch(baseUrl + path, init);
    const body = (await response.json()) as HttpResponse["body"];
    return { status: response.status, headers: response.headers, body };
  }
  return {
    get,
    post: (
      path: string,
      body: string | Uint8Array<ArrayBuffer> | object,
      contentType = "application/json",
    ) => {
      const sent = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
      const headers = { "content-type": contentType };
      return get(path, { method: "POST", body: sent, headers });
    },
  };
}

/** The parameters as a query string. */
export function toQueryString(parameters: Readonly<Record<string, string>>): string {
  return new URLSearchParams(parameters).toString();
}
