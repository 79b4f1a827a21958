// Makes a package of each program in README.md, with the dependencies that README.md gives for it.
// Usage: node .ci/readme.mjs FOLDER. Prints the names of the packages.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const folder = process.argv[2];
const readme = readFileSync("README.md", "utf8");
const blocks = [...readme.matchAll(/^```(\w+)[^\n]*\n(.*?)^```$/gms)].map(([, language, text]) => ({ language, text }));

// `cargo add one@1 other@2`
const added = readme.match(/^cargo add (.+)$/m)[1].split(" ").map((crate) => crate.split("@"));
let dependencies = "[dependencies]\n" + added.map(([name, version]) => `${name} = "${version}"\n`).join("");
let count = 0;
for (const { language, text } of blocks) {
    if (language === "toml") dependencies = text;
    if (language !== "rust" || !text.includes("fn main()")) continue;
    const name = `readme-${++count}`;
    mkdirSync(`${folder}/${name}/src`, { recursive: true });
    writeFileSync(
        `${folder}/${name}/Cargo.toml`,
        `[package]\nname = "${name}"\nversion = "0.0.0"\nedition = "2024"\n\n${dependencies}`,
    );
    writeFileSync(`${folder}/${name}/src/main.rs`, text);
    if (text.includes("embed_migrations!()")) {
        mkdirSync(`${folder}/${name}/migrations/20260101000000_posts`, { recursive: true });
        const [, up] = readme.match(/^echo '(CREATE TABLE .*)' >/m);
        writeFileSync(`${folder}/${name}/migrations/20260101000000_posts/up.sql`, up);
    }
    if (text.includes("mod schema;")) {
        writeFileSync(
            `${folder}/${name}/src/schema.rs`,
            "diesel::table! {\n    posts (id) {\n        id -> Integer,\n        title -> Text,\n    }\n}\n",
        );
    }
    console.log(name);
}
if (count !== 3) throw new Error(`README.md has ${count} programs`);
