//! Each feature of the library has a row in the tables that users read.

use std::fs;
use std::path::Path;

/// Needed by other features, or by the tests of this workspace: nobody switches them on by hand.
const OF_NOBODY: [&str; 3] = ["default", "postgres_backend", "guards-off-for-tests"];

fn read(path: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.parent().expect("the workspace").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_feature_is_in_the_tables() {
    let manifest = read("diesel-rqlite/Cargo.toml");
    let (_, features) = manifest.split_once("[features]").expect("has features");
    let (features, _) = features.split_once("\n[").expect("ends");
    let names = features
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.0));
    let names: Vec<_> = names
        .filter(|name| !name.starts_with('#') && !OF_NOBODY.contains(name))
        .collect();
    assert!(names.len() > 15, "{names:?}");
    for path in ["README.md", "diesel-rqlite/src/lib.rs"] {
        let text = read(path);
        let first_cells: Vec<_> = text
            .lines()
            .map(|line| line.trim_start_matches("//! "))
            .filter(|line| line.starts_with("| `"))
            .filter_map(|line| line.split(" | ").next())
            .collect();
        for name in &names {
            let name = format!("`{name}`");
            assert!(
                first_cells.iter().any(|cell| cell.contains(&name)),
                "{name} has no row in {path}"
            );
        }
    }
}
