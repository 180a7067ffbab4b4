//! The tables on this engine, each a migration.

/// The migration of who remembers ended sign-ins.
///
/// Other processes read what was noted in the last minutes, by the server's clock: a work that has noted one takes a
/// minute at most until others see it.
pub const TABLE: &str = "CREATE TABLE ended_session (
        sid TEXT PRIMARY KEY, until BIGINT NOT NULL, noted BIGINT NOT NULL DEFAULT 0);
     CREATE INDEX ended_session_by_end ON ended_session (until);
     CREATE INDEX ended_session_by_note ON ended_session (noted);
     CREATE FUNCTION ended_session_note() RETURNS trigger LANGUAGE plpgsql AS $note$
     BEGIN
         NEW.noted := extract(epoch FROM clock_timestamp())::BIGINT;
         RETURN NEW;
     END $note$;
     CREATE TRIGGER ended_session_note BEFORE INSERT OR UPDATE ON ended_session
         FOR EACH ROW EXECUTE FUNCTION ended_session_note();
     CREATE VIEW ended_lately AS SELECT sid, until FROM ended_session
         WHERE noted > extract(epoch FROM clock_timestamp())::BIGINT - 120;";

/// What the gateway owes beside: `digest` finds a token again without showing it to the index.
pub(crate) const OWED: &str = "CREATE TABLE owed (
        number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, token TEXT NOT NULL,
        digest BYTEA NOT NULL UNIQUE, since BIGINT NOT NULL, sid TEXT,
        renews BIGINT NOT NULL DEFAULT 1, given_up BIGINT NOT NULL DEFAULT 0);
     CREATE INDEX owed_by_session ON owed (sid);";
