// JSONata's reference implementation, of the version whose specification Step Functions implements (Developer Guide,
// "Transforming data with JSONata in Step Functions": 2.0.6, without $eval).
//
// One line of JSON on stdin: {"variables": {"case": {"states": …}}, "questions": [{"case", "expression"}]}, the expressions
// without their {% %}. One on stdout, in the same order: {"value": …}, {"undefined": true} or {"error": "T2002"}.

import { readFileSync } from "node:fs";
import jsonata from "jsonata";

const { variables, questions } = JSON.parse(readFileSync(0, "utf8"));

async function answer({ case: name, expression }) {
  try {
    // A fresh copy: an expression must not change what the next one sees.
    const value = await jsonata(expression).evaluate(undefined, structuredClone(variables[name]));
    if (value === undefined) return { undefined: true };
    return typeof value === "function" ? { error: "a function" } : { value };
  } catch (error) {
    return { error: error.code ?? String(error) };
  }
}

console.log(JSON.stringify(await Promise.all(questions.map(answer))));
