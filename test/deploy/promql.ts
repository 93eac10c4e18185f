import type { SyntaxNode, SyntaxNodeRef } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";

/** One metric as an expression asks for it. */
interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly op: string; readonly value: string }[];
}

export interface Query {
  readonly selectors: readonly Selector[];
  /** In `by (…)`, `on (…)` and the like. */
  readonly groupingLabels: readonly string[];
}

/** What a PromQL expression asks for; Grafana's variables may stand for durations. Throws when it is no PromQL. */
export function readQuery(expression: string): Query {
  const text = expression.replaceAll("$__rate_interval", "5m");
  const selectors: Selector[] = [];
  const groupingLabels: string[] = [];
  const toText = ({ from, to }: Pick<SyntaxNodeRef, "from" | "to">) => text.slice(from, to);
  parser.parse(text).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL near "${text.slice(node.from - 20)}": ${expression}`);
      if (node.name === "VectorSelector") selectors.push(readSelector(node.node, toText));
      if (node.name === "GroupingLabels") {
        groupingLabels.push(...node.node.getChildren("LabelName").map(toText));
      }
    },
  });
  return { selectors, groupingLabels };
}

function readSelector(node: SyntaxNode, toText: (node: SyntaxNode) => string): Selector {
  const name = node.getChild("Identifier");
  if (!name) throw new Error(`a selector without a name: ${toText(node)}`);
  const matchers = node.getChild("LabelMatchers")?.getChildren("UnquotedLabelMatcher") ?? [];
  return {
    metric: toText(name),
    matchers: matchers.map((matcher) => {
      const part = (kind: string) => toText(matcher.getChild(kind) ?? matcher);
      return { label: part("LabelName"), op: part("MatchOp"), value: part("StringLiteral").slice(1, -1) };
    }),
  };
}
