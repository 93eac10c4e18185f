/**
 * Names of prepared statements by their text: the same in all connections of a process. PostgreSQL parses a named statement
 * once a connection, and after some runs plans it no more. The number is bounded, as each connection keeps the plans of all;
 * further texts have no name, and are parsed each time.
 */
export function nameStatement(text: string): string {
  let name = names.get(text);
  if (name === undefined && names.size < namesMax) names.set(text, (name = `fleetlog ${names.size}`));
  return name ?? "";
}

const names = new Map<string, string>();
const namesMax = 200;
