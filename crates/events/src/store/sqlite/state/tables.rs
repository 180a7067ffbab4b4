//! The tables of the crate's own beside a service's, on this engine; what is in them is said where they are
//! written, in words that every engine speaks: [`inbox`](crate::store::inbox),
//! [`parked`](crate::store::parked).

use crate::store::versions::TableSet;

/// Of who has events delivered elsewhere: see [`ahead`](crate::store::ahead).
pub(crate) const SETTLED_AHEAD: &str = "CREATE TABLE settled_ahead (
    subscription TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    source TEXT NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (subscription, partition, offset)) STRICT, WITHOUT ROWID";

/// Of the same: see [`delivery_runs`](crate::store::delivery_runs).
pub(crate) const DELIVERY_RUNS: &str = "CREATE TABLE delivery_run (
    subscription TEXT NOT NULL, partition INTEGER NOT NULL, run INTEGER NOT NULL,
    PRIMARY KEY (subscription, partition)) STRICT, WITHOUT ROWID";

/// Of who has events fetched: see [`leases`](crate::store::leases).
pub(crate) const LEASES: &str = "CREATE TABLE lease (
    subscription TEXT NOT NULL, token TEXT NOT NULL, until INTEGER NOT NULL, entries BLOB NOT NULL,
    PRIMARY KEY (subscription, token)) STRICT, WITHOUT ROWID;
    CREATE TABLE lease_revision (
    subscription TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/// Of who takes events from outside: see [`remembered`](crate::store::remembered).
pub(crate) const REMEMBERED: &str = "CREATE TABLE remembered (
    place INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL,
    kind TEXT NOT NULL, taken INTEGER NOT NULL, UNIQUE (source, id)) STRICT;
    CREATE INDEX remembered_key ON remembered (key, place);
    CREATE TABLE forgotten (partition INTEGER PRIMARY KEY, up_to INTEGER NOT NULL) STRICT;";

/// Of who publishes at a time to come: see [`schedules`](crate::store::schedules).
pub(crate) const SCHEDULES: &str = "CREATE TABLE schedule (
    key TEXT PRIMARY KEY, token TEXT NOT NULL, moment TEXT NOT NULL, topic TEXT NOT NULL,
    kind TEXT NOT NULL, subject TEXT, data TEXT, due INTEGER, look INTEGER, fired INTEGER,
    published INTEGER, occurrences INTEGER NOT NULL) STRICT;
    CREATE INDEX schedule_look ON schedule (look, key) WHERE look IS NOT NULL;
    CREATE INDEX schedule_postponed ON schedule (due) WHERE look > due;
    CREATE INDEX schedule_again ON schedule (published) WHERE due IS NOT NULL AND published IS NOT NULL;
    CREATE INDEX schedule_over ON schedule (fired, key) WHERE due IS NULL;
    CREATE TABLE schedule_count (shard INTEGER PRIMARY KEY, pending INTEGER NOT NULL) STRICT;
    WITH RECURSIVE shards (shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < 63)
        INSERT INTO schedule_count SELECT shard, 0 FROM shards;
    CREATE TABLE schedule_lease (one INTEGER PRIMARY KEY CHECK (one = 1), fence INTEGER NOT NULL,
        beat INTEGER NOT NULL, held INTEGER NOT NULL) STRICT;
    INSERT INTO schedule_lease VALUES (1, 0, 0, 0);";

pub(super) const INBOX: TableSet = TableSet {
    name: "inbox",
    steps: &[
        "CREATE TABLE IF NOT EXISTS inbox (
            subscription TEXT PRIMARY KEY, position INTEGER NOT NULL, source TEXT NOT NULL,
            event TEXT NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS inbox_mark (
            subscription TEXT NOT NULL, source TEXT NOT NULL, sequence INTEGER NOT NULL,
            PRIMARY KEY (subscription, source)) STRICT, WITHOUT ROWID;",
        // All that was received came by the one partition there was.
        "ALTER TABLE inbox RENAME TO inbox_of_one_partition;
         CREATE TABLE inbox (
            subscription TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
            source TEXT NOT NULL, event TEXT NOT NULL,
            PRIMARY KEY (subscription, partition)) STRICT, WITHOUT ROWID;
         INSERT INTO inbox SELECT subscription, 0, position, source, event
            FROM inbox_of_one_partition;
         DROP TABLE inbox_of_one_partition;
         ALTER TABLE inbox_mark RENAME TO inbox_mark_of_one_partition;
         CREATE TABLE inbox_mark (
            subscription TEXT NOT NULL, partition INTEGER NOT NULL, source TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (subscription, partition, source)) STRICT, WITHOUT ROWID;
         INSERT INTO inbox_mark SELECT subscription, 0, source, sequence
            FROM inbox_mark_of_one_partition;
         DROP TABLE inbox_mark_of_one_partition;",
    ],
};

/// See [`paused`](crate::store::paused).
pub(in crate::store::sqlite) const PAUSED: TableSet = TableSet {
    name: "paused",
    steps: &["CREATE TABLE paused (
        subscription TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER) STRICT, WITHOUT ROWID;"],
};

/// See [`trials`](crate::store::trials).
pub(super) const TRIALS: TableSet = TableSet {
    name: "trials",
    steps: &[
        "CREATE TABLE start (
            subscription TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
            starts INTEGER NOT NULL, PRIMARY KEY (subscription, partition)) STRICT, WITHOUT ROWID;
        CREATE TABLE trial (
            subscription TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            PRIMARY KEY (subscription, partition, offset)) STRICT, WITHOUT ROWID;",
        "ALTER TABLE start ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE trial RENAME TO trial_of_any_run;
        CREATE TABLE trial (
            subscription TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
            run INTEGER NOT NULL, attempts INTEGER NOT NULL,
            PRIMARY KEY (subscription, partition, offset, run)) STRICT, WITHOUT ROWID;
        INSERT INTO trial SELECT subscription, partition, offset, 0, attempts FROM trial_of_any_run;
        DROP TABLE trial_of_any_run;",
    ],
};

/// See [`edits`](crate::store::edits).
pub(super) const EDITS: TableSet = TableSet {
    name: "edits",
    steps: &["CREATE TABLE edit (
        place INTEGER PRIMARY KEY, original BLOB NOT NULL, at INTEGER NOT NULL, by TEXT NOT NULL) STRICT;"],
};

/// See [`expired`](crate::store::expired).
pub(super) const EXPIRED: TableSet = TableSet {
    name: "expired",
    steps: &["CREATE TABLE expired (
            subscription TEXT NOT NULL, slot INTEGER NOT NULL, partition INTEGER NOT NULL,
            offset INTEGER NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL,
            PRIMARY KEY (subscription, slot)) STRICT, WITHOUT ROWID;
        CREATE TABLE expired_count (
            subscription TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;"],
};

/// An index for each question: what of this key, what of this source up to here, what is due, what is
/// dead. The last two have only the rows that are: they stay small however many wait.
pub(super) const PARKED: TableSet = TableSet {
    name: "parked",
    steps: &[
        "CREATE TABLE IF NOT EXISTS parked (
            place INTEGER PRIMARY KEY, subscription TEXT NOT NULL, offset INTEGER NOT NULL,
            key TEXT NOT NULL, source TEXT NOT NULL, sequence INTEGER, event BLOB NOT NULL,
            attempts INTEGER NOT NULL, next_at INTEGER, dead INTEGER NOT NULL,
            reason TEXT NOT NULL, since INTEGER NOT NULL) STRICT;
        CREATE INDEX IF NOT EXISTS parked_key ON parked (subscription, key, place);
        CREATE INDEX IF NOT EXISTS parked_source ON parked (subscription, source, sequence);
        CREATE INDEX IF NOT EXISTS parked_due ON parked (subscription, next_at, place)
            WHERE next_at IS NOT NULL;
        CREATE INDEX IF NOT EXISTS parked_dead ON parked (subscription, place) WHERE dead = 1;",
        "ALTER TABLE parked ADD COLUMN partition INTEGER NOT NULL DEFAULT 0;
        DROP INDEX parked_source;
        CREATE INDEX parked_source ON parked (subscription, source, partition, sequence);
        DROP INDEX parked_due;
        CREATE INDEX parked_due ON parked (subscription, partition, next_at, place)
            WHERE next_at IS NOT NULL;",
        "ALTER TABLE parked ADD COLUMN share TEXT;",
    ],
};
