//! The tables on this engine, each a migration.

pub(crate) mod followed;

/// The migration of who remembers ended sign-ins. Each gets a number while it holds the lock of their count, so that a
/// number that can be seen has none below it that will ever be, and is announced.
pub const TABLE: &str = "CREATE TABLE ended_session (
        sid TEXT PRIMARY KEY, until BIGINT NOT NULL, number BIGINT NOT NULL DEFAULT 0);
     CREATE INDEX ended_session_by_end ON ended_session (until);
     CREATE INDEX ended_session_by_number ON ended_session (number);
     CREATE TABLE ended_count (one BIGINT PRIMARY KEY CHECK (one = 1), number BIGINT NOT NULL);
     INSERT INTO ended_count VALUES (1, 0);
     CREATE FUNCTION count_ended() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $count$
     BEGIN
        UPDATE ended_count SET number = number + 1 RETURNING number INTO NEW.number;
        PERFORM pg_notify(current_schema(), '');
        RETURN NEW;
     END $count$;
     CREATE TRIGGER count_ended BEFORE INSERT OR UPDATE ON ended_session
        FOR EACH ROW EXECUTE FUNCTION count_ended();";

/// What the gateway owes beside: `digest` finds a token again without showing it to the index.
pub(crate) const OWED: &str = "CREATE TABLE owed (
        number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, token TEXT NOT NULL,
        digest BYTEA NOT NULL UNIQUE, since BIGINT NOT NULL, sid TEXT,
        renews BIGINT NOT NULL DEFAULT 1, given_up BIGINT NOT NULL DEFAULT 0);
     CREATE INDEX owed_by_session ON owed (sid);";

/// The migration of who keeps keys there.
pub const KEYS: &str = "CREATE TABLE sealed_key (name TEXT PRIMARY KEY, sealed BYTEA NOT NULL);";

/// The migration of what is one folder's alone.
pub(crate) const CLAIM: &str = "CREATE TABLE claim (what TEXT PRIMARY KEY, owner TEXT NOT NULL);";
