// The scripts in viz/components: plain ES modules, each served with shared.js before it (viz/components/parts.py).
import { readFileSync } from "node:fs";

import js from "@eslint/js";
import globals from "globals";

const shared = readFileSync(new URL("viz/components/shared.js", import.meta.url), "utf-8");
const names = [...shared.matchAll(/^(?:async )?(?:function|const|let) (\w+)/gm)].map((found) => found[1]);

const rules = {
  eqeqeq: "error",
  "no-implicit-globals": "off",
  "no-shadow": "error",
  "no-var": "error",
  "prefer-const": "error",
};

export default [
  js.configs.recommended,
  { languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals.browser }, rules },
  {
    files: ["viz/components/shared.js"],
    languageOptions: { sourceType: "script" },
    rules: { "no-unused-vars": ["error", { vars: "local" }] }, // what it declares is used by the scripts after it
  },
  {
    files: ["viz/components/*/*.js"],
    languageOptions: { globals: Object.fromEntries(names.map((name) => [name, "readonly"])) },
  },
  { files: ["eslint.config.js"], languageOptions: { globals: globals.node } },
];
