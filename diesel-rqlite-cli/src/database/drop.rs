//! Drops everything in a database. The database itself can't be dropped.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_rqlite::RqliteConnection;

use crate::error::Error;

/// A table or a view.
#[derive(Debug, QueryableByName)]
struct Object {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

/// The order is: views, then virtual tables together with their shadow tables, then tables with their indexes and
/// triggers.
const OBJECTS: &str = "SELECT name, type AS kind FROM pragma_table_list \
     WHERE schema = 'main' AND type IN ('view', 'virtual', 'table') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
     ORDER BY type DESC, name";

/// Drops all objects in one request, which succeeds or fails as a whole.
pub(super) fn drop_all(connection: &mut RqliteConnection) -> Result<(), Error> {
    let objects: Vec<Object> = diesel::sql_query(OBJECTS).load(connection)?;
    if !objects.is_empty() {
        connection.batch_execute(&script(&objects))?;
    }
    Ok(())
}

fn script(objects: &[Object]) -> String {
    // If foreign keys are enforced, this allows rows to go before those that refer to them.
    let mut script = String::from("PRAGMA defer_foreign_keys = ON;");
    for object in objects {
        let kind = if object.kind == "view" {
            "VIEW"
        } else {
            "TABLE"
        };
        let name = object.name.replace('"', "\"\"");
        script += &format!("DROP {kind} \"{name}\";");
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let object = |name: &str, kind: &str| Object {
            name: name.to_owned(),
            kind: kind.to_owned(),
        };
        assert_eq!(
            script(&[object("v", "view"), object("a\"b", "table")]),
            "PRAGMA defer_foreign_keys = ON;DROP VIEW \"v\";DROP TABLE \"a\"\"b\";"
        );
    }
}
