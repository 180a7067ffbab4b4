-- The outbox of one service, for writers in any language: what is inserted in a transaction is published if and
-- only if that transaction commits.
--
--   INSERT INTO yeoul_outbox (topic, key, type, data)
--   VALUES ('order', '17', 'Placed', '{"product":3}');
--
-- Everything is made in the first schema of the search path, and running this again changes nothing and holds up nobody:
-- what is there is not locked. A reader asks
-- for `number > last` of one partition, by both as one, `(partition::BIGINT << 48) | number`, of which there is an index.
-- That has no holes, and this is why: a number is taken from the partition's
-- sequence while its lock is held, and the lock is let go when the transaction is over and visible. So whoever sees
-- a number sees every lower one that will ever be there; a transaction that is rolled back leaves a gap for good.
--
-- Whoever may create in that schema can put functions and operators of their own beside the server's, and one that fits
-- its arguments better would be run in its place, with the rights of the table's owner. So the server's functions are
-- called by their whole name, and its operators with arguments that they need not convert.

-- Two of these at once would make the same things.
DO $alone$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('yeoul_outbox')); END $alone$;

CREATE TABLE IF NOT EXISTS yeoul_version (tables TEXT PRIMARY KEY, version INTEGER NOT NULL);

DO $version$
DECLARE
    has INTEGER := (SELECT version FROM yeoul_version WHERE tables = 'yeoul_outbox');
BEGIN
    IF has > 5 THEN
        RAISE EXCEPTION 'the outbox is of a newer program: version % > 5', has
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'an outbox needs a database whose encoding is UTF8. encoding=%',
            pg_catalog.current_setting('server_encoding')
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$version$;

-- A UUID of version 7 (RFC 9562): ids of later rows are higher, to the millisecond.
CREATE OR REPLACE FUNCTION yeoul_outbox_id() RETURNS UUID
    LANGUAGE sql VOLATILE PARALLEL SAFE AS $id$
    SELECT pg_catalog.encode(pg_catalog.set_bit(pg_catalog.set_bit(
        overlay(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) PLACING substring(pg_catalog.int8send(
            pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000::NUMERIC)::BIGINT) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::UUID
$id$;

-- What a row must be the trigger says: a check is read from its text again by every statement that inserts, which costs a
-- good part of what the row does.
CREATE TABLE IF NOT EXISTS yeoul_outbox (
    topic TEXT NOT NULL,
    -- Given by the trigger: where the key's events go, and the count of this partition's rows.
    partition INTEGER NOT NULL,
    number BIGINT NOT NULL,
    -- Unique within the source; one's own may be brought, and is refused the second time.
    id UUID NOT NULL DEFAULT yeoul_outbox_id() CONSTRAINT yeoul_outbox_id_key PRIMARY KEY,
    -- Events of one key are handled in order.
    key TEXT NOT NULL,
    -- What happened, in the past tense.
    type TEXT NOT NULL,
    -- What it happened to: the key, where nothing else is said.
    subject TEXT NOT NULL,
    -- The subject's own count of its events; 0 where nobody counts.
    sequence BIGINT NOT NULL DEFAULT 0,
    time TIMESTAMPTZ NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    correlation TEXT,
    causation TEXT,
    traceparent TEXT,
    -- JSON, kept as it was written.
    data TEXT NOT NULL DEFAULT 'null');

-- The topics that are published to, and how many partitions each has; made by yeoul_outbox_declare.
CREATE TABLE IF NOT EXISTS yeoul_outbox_topic (
    topic TEXT PRIMARY KEY,
    -- What its sequences and its locks are called by: a topic's name may be longer than a sequence's.
    id INTEGER NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    partitions INTEGER NOT NULL CHECK (partitions BETWEEN 1 AND 128),
    -- Under which start of the server, and in which table, its numbers are given. Whoever finds another one begins a new
    -- epoch: a server that was started again, restored or promoted may have given numbers that it does not know any more.
    started TIMESTAMPTZ,
    of OID,
    -- The newest epoch that a transaction began which was committed.
    epoch BIGINT);

-- Kafka's hash of a key (murmur2, with the seed of its default partitioner), its sign taken away. 32 bits are
-- counted in 64: a product of two such numbers stays below 2^63, because one of them is below 2^31.
CREATE OR REPLACE FUNCTION yeoul_outbox_hash(key TEXT) RETURNS INTEGER
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $hash$
DECLARE
    m CONSTANT BIGINT := 1540483477;
    low CONSTANT BIGINT := 4294967295;
    bytes BYTEA := convert_to(key, 'UTF8');
    length INTEGER := octet_length(bytes);
    whole INTEGER := length - length % 4;
    hash BIGINT := 2538058380 # length;
    mixed BIGINT;
    at INTEGER := 0;
BEGIN
    WHILE at < whole LOOP
        mixed := get_byte(bytes, at) | (get_byte(bytes, at + 1) << 8) | (get_byte(bytes, at + 2) << 16)
            | (get_byte(bytes, at + 3)::BIGINT << 24);
        mixed := (mixed * m) & low;
        mixed := ((mixed # (mixed >> 24)) * m) & low;
        hash := ((hash * m) & low) # mixed;
        at := at + 4;
    END LOOP;
    IF whole < length THEN
        WHILE at < length LOOP
            hash := hash # (get_byte(bytes, at)::BIGINT << (8 * (at - whole)));
            at := at + 1;
        END LOOP;
        hash := (hash * m) & low;
    END IF;
    hash := ((hash # (hash >> 13)) * m) & low;
    RETURN (hash # (hash >> 15)) & 2147483647;
END
$hash$;

CREATE OR REPLACE FUNCTION yeoul_outbox_within(field TEXT, bytes INTEGER, most INTEGER) RETURNS VOID
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $within$
BEGIN
    IF bytes > most THEN
        RAISE EXCEPTION '% is too large. bytes=%, limit=%', field, bytes, most
            USING ERRCODE = 'check_violation';
    END IF;
END
$within$;

-- Has a topic's numbers go on in a new epoch: their upper 16 of 48 bits. Above everything that the one before could
-- have given, so that no event is taken for another one's second copy.
CREATE OR REPLACE FUNCTION yeoul_outbox_raise(name TEXT, outbox OID) RETURNS VOID
    LANGUAGE plpgsql AS $raise$
DECLARE
    known yeoul_outbox_topic;
    numbers REGCLASS;
    last BIGINT;
    highest BIGINT;
    begun BIGINT;
    newest BIGINT := 0;
BEGIN
    -- One at a time; who waited finds it done.
    SELECT * INTO known FROM yeoul_outbox_topic WHERE topic = name FOR UPDATE;
    IF known.started = pg_catalog.pg_postmaster_start_time() AND known.of = outbox THEN
        RETURN;
    END IF;
    FOR at IN 0 .. known.partitions - 1 LOOP
        numbers := pg_catalog.format('yeoul_outbox_%s_%s', known.id, at)::REGCLASS;
        EXECUTE pg_catalog.format('SELECT last_value FROM %s', numbers) INTO last;
        -- By the index: as a place, without the partition that it has above the number.
        SELECT pg_catalog.max((partition::BIGINT << 48) | number) - (at::BIGINT << 48) INTO highest FROM yeoul_outbox
            WHERE topic = name AND ((partition::BIGINT << 48) | number) >= at::BIGINT << 48
                AND ((partition::BIGINT << 48) | number) < (at::BIGINT + 1::BIGINT) << 48;
        begun := greatest(coalesce(known.epoch, last >> 32), highest >> 32);
        -- A sequence is raised for good, also by a transaction that is taken back. What it gave in an epoch that nobody began
        -- is nowhere, and numbers go on there: there are not so many that each of those may cost one.
        IF last >> 32 <= begun THEN
            last := (begun + 1) << 32;
            IF last >= 1::BIGINT << 48 THEN
                RAISE EXCEPTION 'no epoch is left. topic=%, partition=%', name, at
                    USING ERRCODE = 'sequence_generator_limit_exceeded';
            END IF;
            PERFORM pg_catalog.setval(numbers, last);
        END IF;
        newest := greatest(newest, last >> 32);
    END LOOP;
    UPDATE yeoul_outbox_topic SET started = pg_catalog.pg_postmaster_start_time(), of = outbox, epoch = newest
        WHERE topic = name;
END
$raise$;

-- Refuses here what the broker would refuse later, when nobody is left to answer, and numbers the rest. A row with a
-- partition goes there; one with a number keeps it, and where it is whole is not looked at. Writers may give neither.
CREATE OR REPLACE FUNCTION yeoul_outbox_number() RETURNS TRIGGER
    LANGUAGE plpgsql SECURITY DEFINER AS $number$
DECLARE
    known yeoul_outbox_topic;
    why TEXT;
BEGIN
    IF pg_catalog.current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        RAISE EXCEPTION 'an event must be on disk when its transaction has committed. synchronous_commit=%, least=on',
            pg_catalog.current_setting('synchronous_commit') USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT * INTO known FROM yeoul_outbox_topic WHERE topic = NEW.topic;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such topic. topic=%', NEW.topic USING ERRCODE = 'foreign_key_violation',
            HINT = 'declare it: yeoul outbox schema --postgres --topic NAME --partitions N';
    END IF;
    NEW.subject := coalesce(NEW.subject, NEW.key);
    -- What must be there and is not, the columns say.
    IF NEW.key IS NULL OR NEW.type IS NULL OR NEW.data IS NULL THEN
        NEW.partition := 0;
        NEW.number := 1;
        RETURN NEW;
    END IF;
    IF NEW.type = '' THEN
        RAISE EXCEPTION 'type is empty' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.sequence < 0::BIGINT THEN
        RAISE EXCEPTION 'sequence is negative. sequence=%', NEW.sequence USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.time < TIMESTAMPTZ '0001-01-01 00:00:00Z' OR NEW.time >= TIMESTAMPTZ '9999-01-01 00:00:00Z' THEN
        RAISE EXCEPTION 'time is not in the years 1 to 9998. time=%', NEW.time USING ERRCODE = 'check_violation';
    END IF;
    IF pg_catalog.octet_length(NEW.key) > 1024 OR pg_catalog.octet_length(NEW.subject) > 1024
        OR pg_catalog.octet_length(NEW.type) > 1024 OR pg_catalog.octet_length(NEW.correlation) > 1024
        OR pg_catalog.octet_length(NEW.causation) > 1024
        OR pg_catalog.octet_length(NEW.traceparent) > 1024 OR pg_catalog.octet_length(NEW.data) > 983040 THEN
        PERFORM yeoul_outbox_within('key', pg_catalog.octet_length(NEW.key), 1024);
        PERFORM yeoul_outbox_within('subject', pg_catalog.octet_length(NEW.subject), 1024);
        PERFORM yeoul_outbox_within('type', pg_catalog.octet_length(NEW.type), 1024);
        PERFORM yeoul_outbox_within('correlation', pg_catalog.octet_length(NEW.correlation), 1024);
        PERFORM yeoul_outbox_within('causation', pg_catalog.octet_length(NEW.causation), 1024);
        PERFORM yeoul_outbox_within('traceparent', pg_catalog.octet_length(NEW.traceparent), 1024);
        PERFORM yeoul_outbox_within('data', pg_catalog.octet_length(NEW.data), 983040);
    END IF;
    -- Who knows the partition knows that the data are JSON, too; the look costs a transaction within the transaction.
    IF NEW.partition IS NULL THEN
        BEGIN
            PERFORM NEW.data::JSON;
        EXCEPTION WHEN invalid_text_representation THEN
            GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
            RAISE EXCEPTION 'data is not JSON: %', why USING ERRCODE = 'check_violation';
        END;
        NEW.partition :=
            CASE known.partitions WHEN 1 THEN 0 ELSE yeoul_outbox_hash(NEW.key) % known.partitions END;
    END IF;
    IF NEW.partition NOT BETWEEN 0 AND known.partitions - 1 THEN
        RAISE EXCEPTION 'the topic has no such partition. topic=%, partition=%, partitions=%',
            NEW.topic, NEW.partition, known.partitions USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.number IS NULL THEN
        IF known.started IS DISTINCT FROM pg_catalog.pg_postmaster_start_time()
            OR known.of IS DISTINCT FROM TG_RELID THEN
            PERFORM yeoul_outbox_raise(NEW.topic, TG_RELID);
        END IF;
        -- Until the transaction is over and visible; an outbox's own locks, each partition's apart.
        PERFORM pg_catalog.pg_advisory_xact_lock(TG_RELID::INTEGER, known.id * 128 + NEW.partition);
        NEW.number := pg_catalog.nextval(pg_catalog.format('yeoul_outbox_%s_%s', known.id, NEW.partition)::REGCLASS);
    END IF;
    RETURN NEW;
END
$number$;

-- What is there already is not touched: those who write would wait for that, and it for them.
DO $shape$
DECLARE
    begun CONSTANT TIMESTAMPTZ := pg_catalog.clock_timestamp();
    topic_first BOOLEAN := FALSE;
    -- Since version 4, and until version 5; of checks by other names nothing is known here.
    is_placed CONSTANT BOOLEAN := EXISTS (SELECT FROM pg_catalog.pg_index
        WHERE indexrelid = pg_catalog.to_regclass('yeoul_outbox_place')::OID AND indisunique);
    is_checked CONSTANT BOOLEAN := EXISTS (SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'yeoul_outbox'::REGCLASS::OID AND conname IN ('yeoul_outbox_number_check'::NAME,
            'yeoul_outbox_sequence_check'::NAME, 'yeoul_outbox_time_check'::NAME));
BEGIN
    IF is_placed AND NOT is_checked AND EXISTS (SELECT FROM pg_catalog.pg_attribute
            WHERE attrelid = 'yeoul_outbox_topic'::REGCLASS::OID AND attname = 'epoch'::NAME) THEN
        RETURN;
    END IF;
    -- Who inserts has the rows before the topic, a service's own yeoul_publish() the topic before the rows. So nobody is
    -- waited for with one of them in hand: where the other is not to be had at once, both are let go, and it is begun with
    -- the other. As long as anybody waits for a lock here, and no longer.
    LOOP
        BEGIN
            IF topic_first THEN
                LOCK TABLE yeoul_outbox_topic IN ACCESS EXCLUSIVE MODE;
                LOCK TABLE yeoul_outbox IN ACCESS EXCLUSIVE MODE NOWAIT;
            ELSE
                LOCK TABLE yeoul_outbox IN ACCESS EXCLUSIVE MODE;
                LOCK TABLE yeoul_outbox_topic IN ACCESS EXCLUSIVE MODE NOWAIT;
            END IF;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF pg_catalog.clock_timestamp() - begun >= INTERVAL '5 seconds' THEN
                RAISE;
            END IF;
            topic_first := NOT topic_first;
            PERFORM pg_catalog.pg_sleep(0.01);
        END;
    END LOOP;
    ALTER TABLE yeoul_outbox_topic ADD COLUMN IF NOT EXISTS started TIMESTAMPTZ,
        ADD COLUMN IF NOT EXISTS of OID, ADD COLUMN IF NOT EXISTS epoch BIGINT;
    -- The trigger above refuses the same by now. No row is read for it.
    IF is_checked THEN
        ALTER TABLE yeoul_outbox DROP CONSTRAINT IF EXISTS yeoul_outbox_number_check,
            DROP CONSTRAINT IF EXISTS yeoul_outbox_sequence_check, DROP CONSTRAINT IF EXISTS yeoul_outbox_time_check;
    END IF;
    -- Until version 4 topic, partition and number were the primary key, which every row paid for beside this index.
    IF EXISTS (SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'yeoul_outbox'::REGCLASS::OID AND conname = 'yeoul_outbox_pkey'::NAME) THEN
        ALTER TABLE yeoul_outbox DROP CONSTRAINT yeoul_outbox_pkey, DROP CONSTRAINT yeoul_outbox_id_key,
            ADD CONSTRAINT yeoul_outbox_id_key PRIMARY KEY (id);
    END IF;
    IF NOT is_placed THEN
        DROP INDEX IF EXISTS yeoul_outbox_place;
        -- Partition and number as one: how whoever reads asks for rows.
        CREATE UNIQUE INDEX yeoul_outbox_place ON yeoul_outbox (topic, ((partition::BIGINT << 48) | number));
    END IF;
END
$shape$;

DO $trigger$
BEGIN
    -- As above; one of before was there for every row.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = 'yeoul_outbox'::REGCLASS::OID
        AND tgname = 'yeoul_outbox_number'::NAME AND tgqual IS NOT NULL) THEN
        CREATE OR REPLACE TRIGGER yeoul_outbox_number BEFORE INSERT ON yeoul_outbox
            FOR EACH ROW WHEN (NEW.number IS NULL OR NEW.subject IS NULL) EXECUTE FUNCTION yeoul_outbox_number();
    END IF;
END
$trigger$;

-- Makes a topic known. Its number of partitions is what the broker has of it: with another one a key's events would
-- go elsewhere, so it is given once.
CREATE OR REPLACE FUNCTION yeoul_outbox_declare(name TEXT, count INTEGER) RETURNS VOID
    LANGUAGE plpgsql AS $declare$
DECLARE
    known yeoul_outbox_topic;
BEGIN
    IF name IS NULL OR name !~ '^[a-z][a-z0-9._-]{0,63}$' THEN
        RAISE EXCEPTION 'no name of a topic. topic=%', name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF count IS NULL OR count NOT BETWEEN 1 AND 128 THEN
        RAISE EXCEPTION 'a topic has 1 to 128 partitions. partitions=%', count
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO yeoul_outbox_topic (topic, partitions, started, of, epoch)
        SELECT name, count, pg_catalog.pg_postmaster_start_time(), 'yeoul_outbox'::REGCLASS::OID, 0
        WHERE NOT EXISTS (SELECT FROM yeoul_outbox_topic WHERE topic = name)
        ON CONFLICT DO NOTHING;
    SELECT * INTO known FROM yeoul_outbox_topic WHERE topic = name;
    IF known.partitions <> count THEN
        RAISE EXCEPTION 'the topic has another number of partitions. topic=%, has=%, asked=%',
            name, known.partitions, count USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    FOR at IN 0 .. count - 1 LOOP
        -- Numbers that a connection keeps ahead would be given behind higher ones.
        EXECUTE pg_catalog.format('CREATE SEQUENCE IF NOT EXISTS %I AS BIGINT CACHE 1',
            pg_catalog.format('yeoul_outbox_%s_%s', known.id, at));
    END LOOP;
END
$declare$;

DO $rights$
DECLARE
    here TEXT := pg_catalog.current_schema();
BEGIN
    -- The trigger has its owner's rights, so nothing that it names may be taken from elsewhere.
    EXECUTE pg_catalog.format('ALTER FUNCTION yeoul_outbox_number() SET search_path = %I, pg_temp', here);
    EXECUTE pg_catalog.format('ALTER FUNCTION yeoul_outbox_raise(TEXT, OID) SET search_path = %I, pg_temp', here);
    EXECUTE pg_catalog.format('ALTER FUNCTION yeoul_outbox_declare(TEXT, INTEGER) SET search_path = %I, pg_temp', here);
    REVOKE ALL ON yeoul_version, yeoul_outbox, yeoul_outbox_topic FROM PUBLIC;
    REVOKE ALL ON FUNCTION yeoul_outbox_number(), yeoul_outbox_raise(TEXT, OID), yeoul_outbox_declare(TEXT, INTEGER)
        FROM PUBLIC;
    -- Who inserts and does nothing else. Roles are the whole server's, and not everybody may make one.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'yeoul_outbox_writer') THEN
        BEGIN
            CREATE ROLE yeoul_outbox_writer NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE WARNING 'the role yeoul_outbox_writer is missing, and % may not make one', current_user;
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'yeoul_outbox_writer') THEN
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO yeoul_outbox_writer', here);
        GRANT INSERT (topic, id, key, type, subject, sequence, time, correlation, causation, traceparent, data)
            ON yeoul_outbox TO yeoul_outbox_writer;
    END IF;
END
$rights$;

INSERT INTO yeoul_version VALUES ('yeoul_outbox', 5)
    ON CONFLICT (tables) DO UPDATE SET version = excluded.version WHERE yeoul_version.version < excluded.version;
