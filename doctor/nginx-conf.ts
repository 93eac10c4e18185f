/** One directive of an nginx.conf; a block has its directives within. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly within: readonly Directive[];
}

/** Parses the output of `nginx -T` or of our template. Throws when braces or quotes do not match. */
export function parseNginxConf(text: string): readonly Directive[] {
  const tokens =
    text.match(/#.*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\$\{\w+\}|[^\s{};"'#])+/g) ?? [];
  const stack: { readonly head: readonly string[]; readonly within: Directive[] }[] = [
    { head: [], within: [] },
  ];
  let words: string[] = [];
  for (const token of tokens.filter((one) => !one.startsWith("#"))) {
    if (token === "{") {
      stack.push({ head: words, within: [] });
      words = [];
    } else if (token === "}" || token === ";") {
      const ended = token === "}" ? stack.pop() : { head: words, within: [] };
      const parent = stack.at(-1);
      if (!ended || !parent) throw new Error("nginx.conf: unexpected }");
      const [name = "", ...args] = ended.head;
      parent.within.push({
        name,
        args: args.map((arg) => arg.replace(/^(["'])(.*)\1$/, "$2")),
        within: ended.within,
      });
      words = [];
    } else words.push(token);
  }
  if (stack.length !== 1 || words.length > 0) throw new Error("nginx.conf: unclosed block");
  return stack[0]?.within ?? [];
}

/** Every directive named `name` below these, with the blocks around it, the outermost first. */
export function findAll(
  directives: readonly Directive[],
  name: string,
  around: readonly Directive[] = [],
): readonly { readonly directive: Directive; readonly around: readonly Directive[] }[] {
  return directives.flatMap((directive) => [
    ...(directive.name === name ? [{ directive, around }] : []),
    ...findAll(directive.within, name, [...around, directive]),
  ]);
}

/**
 * The value that applies in the innermost of these blocks: a directive there, else in the next enclosing
 * one.
 */
export function inherited(blocks: readonly Directive[], name: string): readonly string[] | undefined {
  for (const { within } of blocks.toReversed()) {
    const found = within.find((directive) => directive.name === name);
    if (found) return found.args;
  }
  return undefined;
}
