const degrees = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** Names that logging libraries have for the same thing. */
const synonyms = { WARNING: "WARN", ERR: "ERROR", CRITICAL: "FATAL" } as const;

/** The number of each severity, by its name with and without `SEVERITY_`, in capitals. */
export const severityNumbers: ReadonlyMap<string, number> = new Map(names());

function* names(): Generator<[string, number]> {
  const numbers = new Map([["UNSPECIFIED", 0]]);
  for (const [index, degree] of degrees.entries()) {
    for (let step = 0; step < 4; step++)
      numbers.set(step === 0 ? degree : `${degree}${step + 1}`, 4 * index + step + 1);
  }
  for (const [synonym, name] of Object.entries(synonyms)) yield [synonym, numbers.get(name)!];
  for (const [name, number] of numbers) {
    yield [name, number];
    yield [`SEVERITY_${name}`, number];
  }
}
