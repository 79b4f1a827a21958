// Each dependency of the library builds with this version of Rust, as far as it says which one it needs.
import { readFileSync } from "node:fs";

const [stated] = process.argv.slice(2);
const number = (version) => version.split(".").slice(0, 2).reduce((sum, part) => sum * 1000 + Number(part), 0);
const used = new Set(readFileSync("target/tree.txt", "utf8").split("\n").map((line) => line.split(" ").slice(0, 2).join(" ")));
const newer = JSON.parse(readFileSync("target/metadata.json", "utf8")).packages
    .filter(({ name, version, rust_version }) =>
        used.has(`${name} v${version}`) && number(rust_version ?? "1.0") > number(stated))
    .map(({ name, version, rust_version }) => `${name} ${version} needs Rust ${rust_version}`);
console.log(newer.join("\n") || `${used.size} dependencies build with Rust ${stated}`);
process.exit(newer.length > 0 ? 1 : 0);
