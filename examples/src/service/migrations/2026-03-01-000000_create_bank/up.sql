CREATE TABLE bank_accounts (
    id INTEGER PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL UNIQUE,
    cents INTEGER NOT NULL CHECK (cents >= 0)
);

CREATE TABLE bank_transfers (
    -- The client chooses it. Sent again with the same one, it is the same transfer.
    id TEXT PRIMARY KEY NOT NULL,
    source INTEGER NOT NULL REFERENCES bank_accounts (id),
    target INTEGER NOT NULL REFERENCES bank_accounts (id),
    cents INTEGER NOT NULL CHECK (cents > 0)
);
