// Links between the files of this repository lead somewhere, by a path or by the address at GitHub, down to the heading.
// What is shown elsewhere, by crates.io or docs.rs, has no path in the text.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const repository = "https://github.com/diesel-rqlite/diesel-rqlite/";
const files = execFileSync("git", ["ls-files", "*.md"], { encoding: "utf8" }).trim().split("\n");
const published = (file) => /^(README\.md|diesel-rqlite(-sql|-cli)?\/README\.md|diesel-rqlite\/docs\/.*)$/.test(file);
const withoutCode = (text) => text.replace(/^ *```.*?^ *```$/gms, "").replace(/`[^`\n]*`/g, (code) => "_".repeat(code.length));

// As GitHub makes them.
function anchors(file) {
    const headings = readFileSync(file, "utf8").replace(/^ *```.*?^ *```$/gms, "").matchAll(/^#+ (.*)$/gm);
    return [...headings].map(([, heading]) =>
        heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replace(/ /g, "-"));
}

const wrong = [];
let count = 0;
for (const file of files) {
    const text = withoutCode(readFileSync(file, "utf8"));
    const inline = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => ({ target, inText: true }));
    const definitions = [...text.matchAll(/^\[([^\]]+)\]: (\S+)$/gm)];
    const defined = definitions.map(([, , target]) => ({ target, inText: false }));
    for (const { target, inText } of [...inline, ...defined]) {
        let path = target;
        if (target.startsWith(repository)) path = "/" + target.slice(repository.length).replace(/^(blob|tree)\/main\//, "");
        else if (/^[a-z]+:/.test(target)) continue;
        else if (inText && published(file) && !target.startsWith("#")) wrong.push(`${file}: ${target} is a path in the text`);
        count += 1;
        const [place, anchor] = path.split("#");
        const found = normalize(place.startsWith("/") ? place.slice(1) : place ? join(dirname(file), place) : file);
        if (!existsSync(found)) wrong.push(`${file}: ${target} is not there`);
        else if (anchor && !(statSync(found).isFile() && anchors(found).includes(anchor)))
            wrong.push(`${file}: ${target} has no such heading`);
    }
    const labels = new Set(definitions.map(([, label]) => label.toLowerCase()));
    for (const [, label] of text.matchAll(/\]\[([^\]]+)\]/g))
        if (!labels.has(label.toLowerCase())) wrong.push(`${file}: [${label}] is not defined`);
    // docs.rs has links of its own in place of these.
    if (file.startsWith("diesel-rqlite/docs/"))
        for (const [, label, target] of definitions)
            if (!readFileSync("diesel-rqlite/src/guide.rs", "utf8").includes(`[${label}]: crate::`))
                wrong.push(`${file}: [${label}]: ${target} is not in guide.rs`);
}
console.log(wrong.join("\n") || `${count} links in ${files.length} files`);
process.exit(wrong.length > 0 ? 1 : 0);
