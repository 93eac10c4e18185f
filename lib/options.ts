import { InvalidArgumentError } from "commander";

/*
 * Parsers of option values for commander, which prints their error with the option's name and ends the process.
 */

/** A whole number, both bounds included; its digits may be grouped, as in 1,000,000. */
export function wholeNumber(min: number, max: number) {
  return (text: string): number => {
    const digits = text.replaceAll(/[,_]/g, "");
    if (/^\d+$/.test(digits) && Number(digits) >= min && Number(digits) <= max) return Number(digits);
    throw new InvalidArgumentError(`expected an integer from ${min} to ${max}`);
  };
}

/** Some of these names, separated by commas. */
export function someOf<Name extends string>(names: readonly Name[]) {
  return (text: string): readonly Name[] =>
    text.split(",").map((given) => {
      const name = names.find((known) => known === given);
      if (name !== undefined) return name;
      throw new InvalidArgumentError(`unknown "${given}", expected one of ${names.join(", ")}`);
    });
}
