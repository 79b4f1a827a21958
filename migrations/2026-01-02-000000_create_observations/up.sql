CREATE TABLE observations (
    id INTEGER PRIMARY KEY NOT NULL,
    object_id INTEGER NOT NULL REFERENCES objects (id),
    seen_at TIMESTAMP NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    UNIQUE (object_id, seen_at)
);
