import ts from "typescript-5.4";

/** A module with one mistake in it. */
export interface Mutant {
  /** The function, and what stands in place of what: `pick: a && b → a || b`. */
  readonly name: string;
  /** Where the mistake is, in lines of the source. */
  readonly line: number;
  readonly source: string;
}

/** What stands in place of a piece of source. `name`: what to call that, if not by the whole pieces. */
interface Replacement {
  readonly text: string;
  readonly name?: string;
}

/**
 * All mistakes of one place in a TypeScript module: each comparison turned
 * round, each condition negated or decided, each `??`, `&&`, `||` and ternary
 * reduced to one side or turned round, each property, spread, element, case and
 * statement left out, each constant another one. Types are not looked at.
 */
export function mutantsOf(source: string): Mutant[] {
  const file = ts.createSourceFile("module.ts", source, ts.ScriptTarget.ES2022, true);
  const mutants: Mutant[] = [];
  const visit = (node: ts.Node, within: string): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isImportDeclaration(node)) {
      return;
    }
    const start = node.getStart();
    for (const { text, name } of replacementsOf(node)) {
      // a constant alone does not say which one it is
      const around = node.getChildCount() === 0 ? node.parent : node;
      const before = source.slice(around.getStart(), start);
      const after = source.slice(node.end, around.end);
      mutants.push({
        name: `${within}: ${oneLine(name ?? `${around.getText()} → ${before}${text}${after}`)}`,
        line: file.getLineAndCharacterOfPosition(start).line + 1,
        source: source.slice(0, start) + text + source.slice(node.end),
      });
    }
    const inside = ts.isFunctionDeclaration(node) ? (node.name?.text ?? within) : within;
    ts.forEachChild(node, (child) => visit(child, inside));
  };
  ts.forEachChild(file, (child) => visit(child, "module"));
  return mutants;
}

function replacementsOf(node: ts.Node): Replacement[] {
  return [
    ...[...conditions(node), ...expressions(node), ...constants(node)].map((text) => ({ text })),
    ...omissions(node),
  ];
}

/** What may stand in place of the condition of an `if`; how a comparison is negated, see below. */
function conditions(node: ts.Node): string[] {
  if (!ts.isIfStatement(node.parent) || node !== node.parent.expression) {
    return [];
  }
  const isTurned = ts.isBinaryExpression(node) || ts.isPrefixUnaryExpression(node);
  return ["true", "false", ...(isTurned ? [] : [`!(${node.getText()})`])];
}

const opposites: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "==="],
  [ts.SyntaxKind.LessThanToken, ">="],
  [ts.SyntaxKind.GreaterThanEqualsToken, "<"],
  [ts.SyntaxKind.GreaterThanToken, "<="],
  [ts.SyntaxKind.LessThanEqualsToken, ">"],
]);

function expressions(node: ts.Node): string[] {
  if (ts.isConditionalExpression(node)) {
    const [yes, no] = [node.whenTrue.getText(), node.whenFalse.getText()];
    return [`(${yes})`, `(${no})`, `(${node.condition.getText()} ? (${no}) : (${yes}))`];
  }
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    return [`(${node.operand.getText()})`];
  }
  if (ts.isPropertyAccessExpression(node) && node.questionDotToken !== undefined) {
    return [`${node.expression.getText()}.${node.name.text}`];
  }
  if (!ts.isBinaryExpression(node)) {
    return [];
  }
  const [left, right] = [`(${node.left.getText()})`, `(${node.right.getText()})`];
  switch (node.operatorToken.kind) {
    case ts.SyntaxKind.AmpersandAmpersandToken:
      return [
        left,
        right,
        `(${left} || ${right})`,
        `(!${left} && ${right})`,
        `(${left} && !${right})`,
      ];
    case ts.SyntaxKind.BarBarToken:
      return [
        left,
        right,
        `(${left} && ${right})`,
        `(!${left} || ${right})`,
        `(${left} || !${right})`,
      ];
    case ts.SyntaxKind.QuestionQuestionToken:
      return [left, right, `(${right} ?? ${left})`];
    case ts.SyntaxKind.InKeyword:
    case ts.SyntaxKind.InstanceOfKeyword:
      return [`(!(${node.getText()}))`];
    default: {
      const opposite = opposites.get(node.operatorToken.kind);
      return opposite === undefined ? [] : [`(${left} ${opposite} ${right})`];
    }
  }
}

function constants(node: ts.Node): string[] {
  if (ts.isIdentifier(node)) {
    return node.text === "undefined" ? ["null"] : [];
  }
  if (ts.isStringLiteral(node) || ts.isTemplateExpression(node)) {
    return ['"mutant"'];
  }
  if (ts.isArrayLiteralExpression(node) && node.elements.length === 0) {
    return ['["mutant"]'];
  }
  switch (node.kind) {
    case ts.SyntaxKind.TrueKeyword:
      return ["false"];
    case ts.SyntaxKind.FalseKeyword:
      return ["true"];
    default:
      return [];
  }
}

/** A node without one of its parts, or nothing in its place. */
function omissions(node: ts.Node): Replacement[] {
  if (ts.isObjectLiteralExpression(node)) {
    return withoutEach(node.properties, "{", "}");
  }
  if (ts.isArrayLiteralExpression(node)) {
    return withoutEach(node.elements, "[", "]");
  }
  const name = `without ${node.getText()}`;
  if (ts.isReturnStatement(node)) {
    return [
      { text: ";", name },
      { text: "return;", name: `${node.getText()} → return;` },
    ];
  }
  if (ts.isExpressionStatement(node) || ts.isThrowStatement(node)) {
    return [{ text: ";", name }];
  }
  return ts.isCaseOrDefaultClause(node) ? [{ text: "", name }] : [];
}

function withoutEach(parts: ts.NodeArray<ts.Node>, open: string, close: string): Replacement[] {
  const texts = parts.map((part) => part.getText());
  return texts.map((text, index) => ({
    text: `${open}${texts.filter((_, i) => i !== index).join(", ")}${close}`,
    name: `without ${text}`,
  }));
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}
