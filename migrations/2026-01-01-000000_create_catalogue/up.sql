CREATE TABLE constellations (
    id INTEGER PRIMARY KEY NOT NULL,
    abbreviation TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);

-- Deep-sky objects, numbered as Charles Messier did.
CREATE TABLE objects (
    id INTEGER PRIMARY KEY NOT NULL,
    constellation_id INTEGER NOT NULL REFERENCES constellations (id),
    kind TEXT NOT NULL,
    name TEXT,
    magnitude REAL NOT NULL
);

CREATE INDEX objects_by_constellation ON objects (constellation_id);
