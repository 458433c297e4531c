// State machines by asl-validator: a JSON schema of the Amazon States Language, every way from state to state, and the
// syntax of every JSONata expression.
//
//     node validate.mjs one.json two.json
//
// Prints a line for each file that is wrong: its name, a tab, and why.

import { readFileSync } from "node:fs";
import validate from "asl-validator";

for (const file of process.argv.slice(2)) {
  const { isValid, errorsText } = validate(JSON.parse(readFileSync(file, "utf8")), { checkPaths: true, checkArn: true });
  if (!isValid) console.log(`${file}\t${errorsText("; ")}`);
}
