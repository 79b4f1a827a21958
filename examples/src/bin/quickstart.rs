//! A Diesel program on a real rqlite: models, associations, migrations and a transaction.
//!
//! `cargo quickstart` starts an rqlited of its own; with `RQLITE_URL` set it uses that one, and cleans up
//! what it made there.
#![allow(clippy::print_stdout)]

use chrono::{NaiveDate, NaiveDateTime};
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;
use diesel::upsert::excluded;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_examples::{Failure, Server};
use diesel_rqlite_tests::rqlited_binary;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

diesel::table! {
    constellations (id) {
        id -> Integer,
        abbreviation -> Text,
        name -> Text,
    }
}

diesel::table! {
    objects (id) {
        id -> Integer,
        constellation_id -> Integer,
        kind -> Text,
        name -> Nullable<Text>,
        magnitude -> Double,
    }
}

diesel::table! {
    observations (id) {
        id -> Integer,
        object_id -> Integer,
        seen_at -> Timestamp,
        note -> Text,
    }
}

diesel::joinable!(objects -> constellations (constellation_id));
diesel::joinable!(observations -> objects (object_id));
diesel::allow_tables_to_appear_in_same_query!(constellations, objects, observations);

#[derive(Debug, Queryable, Selectable, Identifiable)]
struct Constellation {
    id: i32,
    abbreviation: String,
    name: String,
}

#[derive(Insertable)]
#[diesel(table_name = constellations)]
struct NewConstellation<'a> {
    abbreviation: &'a str,
    name: &'a str,
}

#[derive(Debug, Queryable, Selectable, Identifiable, Associations)]
#[diesel(belongs_to(Constellation))]
struct Object {
    id: i32,
    constellation_id: i32,
    name: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = objects)]
struct NewObject<'a> {
    id: i32,
    constellation_id: i32,
    kind: &'a str,
    name: Option<&'a str>,
    magnitude: f64,
}

#[derive(Debug, Queryable, Selectable)]
struct Observation {
    id: i32,
    seen_at: NaiveDateTime,
    note: String,
}

#[derive(Insertable)]
#[diesel(table_name = observations)]
struct NewObservation<'a> {
    object_id: i32,
    seen_at: NaiveDateTime,
    note: &'a str,
}

#[derive(AsChangeset, Identifiable)]
#[diesel(table_name = objects)]
struct Renamed<'a> {
    id: i32,
    name: Option<&'a str>,
}

fn main() -> Result<(), Failure> {
    let server = Server::rqlite()?;
    if let (true, Ok(binary)) = (server.is_own(), rqlited_binary()) {
        println!("started {}", binary.version);
    }
    let mut conn = RqliteConnection::establish(server.url())?;
    println!("connected with {} HTTP request(s)\n", conn.http_requests());

    step(&mut conn, "migrate", migrate)?;
    step(&mut conn, "insert one row", insert_one)?;
    step(
        &mut conn,
        "insert a batch of structs",
        insert_constellations,
    )?;
    step(
        &mut conn,
        "insert a batch in which some leave out their name",
        insert_objects,
    )?;
    step(&mut conn, "filter, order, limit", brightest_galaxies)?;
    step(&mut conn, "join and aggregate", richest_constellations)?;
    step(
        &mut conn,
        "group children under their parents",
        objects_of_the_bears,
    )?;
    step(&mut conn, "update by a changeset", rename)?;
    step(&mut conn, "delete", delete_stars)?;
    step(&mut conn, "insert with RETURNING", observe)?;
    step(&mut conn, "upsert with RETURNING", observe_again)?;
    step(&mut conn, "commit a transaction", commit)?;
    step(&mut conn, "roll one back", roll_back)?;
    step(&mut conn, "break a constraint", break_a_constraint)?;
    step(&mut conn, "revert the migrations", revert)?;
    Ok(())
}

type Outcome = Result<String, Failure>;

/// Runs one step and prints what came of it, and what it cost.
fn step(
    conn: &mut RqliteConnection,
    title: &str,
    run: fn(&mut RqliteConnection) -> Outcome,
) -> Result<(), Failure> {
    let before = conn.http_requests();
    let outcome = run(conn).map_err(|error| format!("{title}: {error}"))?;
    let requests = conn.http_requests() - before;
    println!(
        "{title}  [{requests} request{}]",
        if requests == 1 { "" } else { "s" }
    );
    for line in outcome.lines() {
        println!("    {line}");
    }
    Ok(())
}

fn migrate(conn: &mut RqliteConnection) -> Outcome {
    let versions = conn.run_pending_migrations(MIGRATIONS)?;
    assert_eq!(versions.len(), 2);
    Ok(format!("{} migrations run", versions.len()))
}

fn insert_one(conn: &mut RqliteConnection) -> Outcome {
    let new = NewConstellation {
        abbreviation: "Ori",
        name: "Orion",
    };
    let rows = diesel::insert_into(constellations::table)
        .values(&new)
        .execute(conn)?;
    assert_eq!(rows, 1);
    Ok(format!("{rows} row: {}", new.name))
}

fn insert_constellations(conn: &mut RqliteConnection) -> Outcome {
    let lines = records(include_str!("../../data/constellations.csv"));
    let rows: Vec<_> = lines
        .filter(|fields| fields[0] != "Ori")
        .map(|fields| NewConstellation {
            abbreviation: fields[0],
            name: fields[1],
        })
        .collect();
    let inserted = diesel::insert_into(constellations::table)
        .values(&rows)
        .execute(conn)?;
    assert_eq!(inserted, 87);
    Ok(format!("{inserted} rows"))
}

fn insert_objects(conn: &mut RqliteConnection) -> Outcome {
    let ids: Vec<(String, i32)> = constellations::table
        .select((constellations::abbreviation, constellations::id))
        .load(conn)?;
    let mut rows = Vec::new();
    for fields in records(include_str!("../../data/objects.csv")) {
        let constellation = ids
            .iter()
            .find(|(abbreviation, _)| abbreviation == fields[1]);
        rows.push(NewObject {
            id: fields[0].parse()?,
            constellation_id: constellation.ok_or("an unknown constellation")?.1,
            kind: fields[2],
            magnitude: fields[3].parse()?,
            name: Some(fields[4]).filter(|name| !name.is_empty()),
        });
    }
    let inserted = diesel::insert_into(objects::table)
        .values(&rows)
        .execute(conn)?;
    assert_eq!(inserted, 110);
    Ok(format!(
        "{inserted} rows; one request more for the ids of the constellations"
    ))
}

fn records(csv: &str) -> impl Iterator<Item = Vec<&str>> {
    csv.lines().skip(1).map(|line| line.split(',').collect())
}

fn brightest_galaxies(conn: &mut RqliteConnection) -> Outcome {
    let found: Vec<(i32, Option<String>, f64)> = objects::table
        .filter(objects::kind.eq("galaxy"))
        .order(objects::magnitude.asc())
        .limit(3)
        .select((objects::id, objects::name, objects::magnitude))
        .load(conn)?;
    let ids: Vec<_> = found.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, [31, 33, 81]);
    let lines = found.iter().map(|(id, name, magnitude)| {
        format!(
            "M{id} {}, magnitude {magnitude}",
            name.as_deref().unwrap_or("(no name)")
        )
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn richest_constellations(conn: &mut RqliteConnection) -> Outcome {
    let found: Vec<(String, i64)> = constellations::table
        .inner_join(objects::table)
        .group_by(constellations::name)
        .order((diesel::dsl::count(objects::id).desc(), constellations::name))
        .limit(3)
        .select((constellations::name, diesel::dsl::count(objects::id)))
        .load(conn)?;
    assert_eq!(found[0], ("Sagittarius".to_owned(), 15));
    let lines = found
        .iter()
        .map(|(name, count)| format!("{name}: {count} objects"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn objects_of_the_bears(conn: &mut RqliteConnection) -> Outcome {
    let bears = constellations::table
        .filter(constellations::name.like("Ursa%"))
        .order(constellations::id)
        .select(Constellation::as_select())
        .load(conn)?;
    let children = Object::belonging_to(&bears)
        .select(Object::as_select())
        .load(conn)?;
    assert_eq!((bears.len(), children.len()), (2, 7));
    let lines = children
        .grouped_by(&bears)
        .into_iter()
        .zip(&bears)
        .map(|(objects, bear)| {
            let names: Vec<_> = objects
                .iter()
                .map(|object| {
                    object
                        .name
                        .clone()
                        .unwrap_or_else(|| format!("M{}", object.id))
                })
                .collect();
            format!(
                "{} ({}): {}",
                bear.name,
                bear.abbreviation,
                names.join(", ")
            )
        });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn rename(conn: &mut RqliteConnection) -> Outcome {
    let changes = Renamed {
        id: 33,
        name: Some("Pinwheel of Triangulum"),
    };
    let rows = diesel::update(&changes).set(&changes).execute(conn)?;
    assert_eq!(rows, 1);
    Ok(format!("{rows} row"))
}

fn delete_stars(conn: &mut RqliteConnection) -> Outcome {
    let no_nebulae = objects::kind.eq_any(["double star", "asterism", "star cloud"]);
    let rows = diesel::delete(objects::table.filter(no_nebulae)).execute(conn)?;
    assert_eq!(rows, 3);
    Ok(format!("{rows} rows"))
}

fn night(hour: u32) -> NaiveDateTime {
    let day = NaiveDate::from_ymd_opt(2026, 1, 15).unwrap_or_default();
    day.and_hms_micro_opt(hour, 30, 0, 250_000)
        .unwrap_or_default()
}

fn observe(conn: &mut RqliteConnection) -> Outcome {
    let new = NewObservation {
        object_id: 42,
        seen_at: night(21),
        note: "with binoculars",
    };
    let seen = diesel::insert_into(observations::table)
        .values(&new)
        .returning(Observation::as_returning())
        .get_result(conn)?;
    assert_eq!((seen.id, seen.seen_at), (1, night(21)));
    Ok(format!("#{} at {}: {}", seen.id, seen.seen_at, seen.note))
}

fn observe_again(conn: &mut RqliteConnection) -> Outcome {
    let rows = [
        NewObservation {
            object_id: 42,
            seen_at: night(21),
            note: "with a telescope",
        },
        NewObservation {
            object_id: 45,
            seen_at: night(22),
            note: "with the naked eye",
        },
    ];
    let seen: Vec<Observation> = diesel::insert_into(observations::table)
        .values(&rows)
        .on_conflict((observations::object_id, observations::seen_at))
        .do_update()
        .set(observations::note.eq(excluded(observations::note)))
        .returning(Observation::as_returning())
        .get_results(conn)?;
    let ids: Vec<_> = seen.iter().map(|row| row.id).collect();
    assert_eq!(ids, [1, 2]);
    let lines = seen
        .iter()
        .map(|row| format!("#{} at {}: {}", row.id, row.seen_at, row.note));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn commit(conn: &mut RqliteConnection) -> Outcome {
    conn.transaction(|conn| {
        diesel::update(observations::table.filter(observations::object_id.eq(42)))
            .set(observations::note.eq("clouds"))
            .execute(conn)?;
        let night = NewObservation {
            object_id: 31,
            seen_at: night(23),
            note: "between the clouds",
        };
        diesel::insert_into(observations::table)
            .values(&night)
            .execute(conn)
    })?;
    let clouds = observations::table.filter(observations::note.like("%clouds"));
    assert_eq!(clouds.count().get_result(conn), Ok(2_i64));
    Ok("an update and an insert, applied together; one request more to look".to_owned())
}

fn roll_back(conn: &mut RqliteConnection) -> Outcome {
    let outcome = conn.transaction(|conn| {
        diesel::delete(observations::table).execute(conn)?;
        Err::<(), _>(diesel::result::Error::RollbackTransaction)
    });
    let left: i64 = observations::table.count().get_result(conn)?;
    assert_eq!(left, 3);
    Ok(format!(
        "{}: still {left} observations (one request is that of the count)",
        outcome.err().ok_or("it was committed")?
    ))
}

fn break_a_constraint(conn: &mut RqliteConnection) -> Outcome {
    let twice = NewConstellation {
        abbreviation: "Ori",
        name: "Orion once more",
    };
    match diesel::insert_into(constellations::table)
        .values(&twice)
        .execute(conn)
    {
        Err(diesel::result::Error::DatabaseError(
            kind @ DatabaseErrorKind::UniqueViolation,
            information,
        )) => Ok(format!(
            "{kind:?} in table {:?}, column {:?}",
            information.table_name().unwrap_or_default(),
            information.column_name().unwrap_or_default()
        )),
        other => Err(format!("a duplicate was accepted: {other:?}").into()),
    }
}

fn revert(conn: &mut RqliteConnection) -> Outcome {
    let versions = conn.revert_all_migrations(MIGRATIONS)?;
    assert_eq!(versions.len(), 2);
    Ok(format!("{} migrations reverted", versions.len()))
}
