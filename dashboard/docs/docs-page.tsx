import { useQuery } from "../api/use-query.ts";
import { FailureNotice } from "../components/failure-notice.tsx";
import { limitText, type OpenApi, type Operation, type Schema, schemaName } from "./openapi.ts";

/** The HTTP API, from openapi.json. */
export function DocsPage() {
  const { value, failure } = useQuery("openapi", readDocument);
  return (
    <main class="page page-docs">
      <h1>The HTTP API</h1>
      {failure && <FailureNotice failure={failure} onRetry={() => window.location.reload()} />}
      {value && (
        <>
          <p>{value.info.description}</p>
          <p>
            The same for programs: <a href="/openapi.json">openapi.json</a>, OpenAPI 3.1, version{" "}
            {value.info.version}.
          </p>
          <nav aria-label="Addresses">
            <ul>
              {Object.entries(value.paths).map(([path, { get }]) => (
                <li key={path}>
                  <a href={`#${get.operationId}`}>
                    <code>{path}</code>
                  </a>{" "}
                  {get.summary}
                </li>
              ))}
            </ul>
          </nav>
          {Object.entries(value.paths).map(([path, { get }]) => (
            <Address key={path} path={path} operation={get} />
          ))}
          <h2>Types</h2>
          {Object.entries(value.components.schemas).map(([name, schema]) => (
            <Type key={name} name={name} schema={schema} />
          ))}
        </>
      )}
    </main>
  );
}

async function readDocument(signal: AbortSignal): Promise<OpenApi> {
  const response = await fetch("/openapi.json", { signal });
  if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
  return (await response.json()) as OpenApi;
}

function Address({ path, operation }: { path: string; operation: Operation }) {
  const { operationId, description, parameters, responses } = operation;
  return (
    <section id={operationId} aria-label={path}>
      <h2>
        <code>GET {path}</code>
      </h2>
      <p>{description.replaceAll("`", "")}</p>
      <pre tabIndex={0}>{`curl -s '${window.location.origin}${path.replace("{device_id}", "host-1")}'`}</pre>
      <div class="table-scroll">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Parameter</th>
              <th scope="col">Type</th>
              <th scope="col">Meaning</th>
              <th scope="col">Limit</th>
            </tr>
          </thead>
          <tbody>
            {parameters.map(({ name, schema, ...parameter }) => (
              <tr key={name}>
                <td>
                  <code>{name}</code>
                  {parameter.in === "path" && " (in the path)"}
                </td>
                <td>
                  <TypeName schema={schema} />
                </td>
                <td>{parameter.description}</td>
                <td>{limitText(schema)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul>
        {Object.entries(responses).map(([status, { description: meaning, content }]) => (
          <li key={status}>
            <code>{status}</code> {meaning}{" "}
            {Object.entries(content).map(([type, { schema }]) => (
              <span key={type}>
                {type} <TypeName schema={schema} />{" "}
              </span>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Type({ name, schema }: { name: string; schema: Schema }) {
  return (
    <section id={`type-${name}`} aria-label={name}>
      <h3>{name}</h3>
      {schema.enum ? (
        <ul>
          {(schema.description ?? "").split("\n").map((line) => (
            <li key={line}>{line.replace(/^- /, "").replaceAll("`", "")}</li>
          ))}
        </ul>
      ) : (
        <>
          <p>{schema.description}</p>
          <dl>
            {Object.entries(schema.properties ?? {}).map(([property, of]) => (
              <div key={property}>
                <dt>
                  <code>{property}</code> <TypeName schema={of} />
                </dt>
                <dd>{of.description}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
    </section>
  );
}

function TypeName({ schema }: { schema: Schema }) {
  const { type = "", format, items, additionalProperties } = schema;
  if (schema.$ref !== undefined) return <a href={`#type-${schemaName(schema)}`}>{schemaName(schema)}</a>;
  if (items !== undefined) {
    return (
      <>
        list of <TypeName schema={items} />
      </>
    );
  }
  if (additionalProperties !== undefined) return <>map of texts</>;
  return <>{format ?? type}</>;
}
