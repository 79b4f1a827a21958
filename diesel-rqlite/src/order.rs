//! Checks the order of modules that ARCHITECTURE.md states: a module names only modules below it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The section of ARCHITECTURE.md. It contains a block with one layer per line, the topmost first. The modules of one
/// line may name each other.
const TITLE: &str = "## The order of modules";

#[test]
fn modules_name_only_those_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("../ARCHITECTURE.md")).expect("is there");
    let layers = layers(&text);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files(&root.join("src")) {
        let path = file.strip_prefix(root.join("src")).expect("is below");
        let module = module_of(path);
        // The root may name all modules.
        if ["lib", "guide", "order", "must_not_compile", "fuzz"].contains(&module.as_str()) {
            continue;
        }
        let Some(layer) = layers.get(&module) else {
            wrong.push(format!("{module} has no place in ARCHITECTURE.md"));
            continue;
        };
        let text = fs::read_to_string(&file).expect("is readable");
        for named in named(&text, path.components().count()) {
            seen += 1;
            match layers.get(&named) {
                _ if named == module => {}
                Some(below) if below <= layer => {}
                Some(_) => wrong.push(format!(
                    "{} names {named}, which is above it",
                    path.display()
                )),
                // The items that the root exports may come from any module.
                None => wrong.push(format!("{} names crate::{named}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 200, "only {seen} paths were found");
}

#[test]
fn all_paths_are_found() {
    let text = r#"
        //! crate::comment::is_none
        use crate::a::X;
        use crate::{b, c::{self, Y}, d::*};
        pub(crate) use super::e::Z;
        fn f() { let text = "crate::text"; crate::g::h(crate::i); super::super::j(); self::k() }
        mod tests { use super::super::l; use super::*; use super::l; }
    "#;
    assert_eq!(
        named(text, 1),
        ["a", "b", "c", "d", "e", "g", "i", "j", "l"]
    );
    assert_eq!(named(text, 2), ["a", "b", "c", "d", "g", "i", "j"]);
}

/// Returns the height of each module, counted from the bottom.
fn layers(text: &str) -> BTreeMap<String, usize> {
    let (_, section) = text.split_once(TITLE).expect("has the section");
    let block = section.split("```").nth(1).expect("has a block");
    let lines = block.lines().filter_map(|line| line.split("  ").next());
    let lines = lines.filter(|line| !line.is_empty() && *line != "text");
    let mut layers = BTreeMap::new();
    for (height, line) in lines.rev().enumerate() {
        for module in line.split(", ") {
            let known = layers.insert(module.to_owned(), height);
            assert!(known.is_none(), "{module} stands there twice");
        }
    }
    layers
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("is readable");
    let paths = entries.map(|entry| entry.expect("is readable").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Returns the topmost module that a file is part of.
fn module_of(path: &Path) -> String {
    let first = path.iter().next().expect("is not empty");
    let name = first.to_string_lossy();
    name.trim_end_matches(".rs").to_owned()
}

/// Returns the names at the root of the crate that a text uses: those after `crate::`, or after as many `super::` as
/// the text is deep.
fn named(text: &str, depth: usize) -> Vec<String> {
    let tokens = text.parse().expect("is Rust");
    let mut found = Vec::new();
    walk(tokens, depth, &mut found);
    found
}

fn walk(tokens: TokenStream, depth: usize, found: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut place = 0;
    while let Some(token) = tokens.get(place) {
        place += 1;
        let mut at_root = match token {
            TokenTree::Ident(word) if word == "crate" => true,
            TokenTree::Ident(word) if word == "super" => depth == 1,
            TokenTree::Group(group) => {
                let inline = usize::from(is_module(&tokens[..place - 1]));
                walk(group.stream(), depth + inline, found);
                continue;
            }
            _ => continue,
        };
        let mut supers = 1;
        while is_path(&tokens, place) {
            match tokens.get(place + 2) {
                Some(TokenTree::Ident(word)) if word == "super" => {
                    supers += 1;
                    at_root |= supers >= depth;
                    place += 3;
                }
                behind => {
                    if at_root {
                        heads(behind, found);
                    }
                    break;
                }
            }
        }
    }
}

/// Returns whether the next tokens open a module.
fn is_module(tokens: &[TokenTree]) -> bool {
    let [.., TokenTree::Ident(keyword), TokenTree::Ident(_)] = tokens else {
        return false;
    };
    keyword == "mod"
}

fn is_path(tokens: &[TokenTree], place: usize) -> bool {
    let colon = |place: usize| matches!(tokens.get(place), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(place) && colon(place + 1)
}

/// Adds the first name of a path, or of each path in braces.
fn heads(behind: Option<&TokenTree>, found: &mut Vec<String>) {
    match behind {
        Some(TokenTree::Ident(name)) => found.push(name.to_string()),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let mut begins = true;
            for token in group.stream() {
                if begins {
                    heads(Some(&token), found);
                }
                begins = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == ',');
            }
        }
        _ => {}
    }
}
