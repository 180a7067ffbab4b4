-- The service's own tables, beside the outbox that `yeoul outbox schema --postgres --topic points --partitions 4` prints.

CREATE TABLE account (customer TEXT PRIMARY KEY, points BIGINT NOT NULL CHECK (points >= 0));

-- What was done already, noted in the transaction that did it: whatever comes twice is done once. A row is of no use once
-- its event cannot come again, after the 30 days that the topics keep theirs:
-- DELETE FROM handled WHERE at < now() - interval '31 days'
CREATE TABLE handled (what TEXT PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT now());

CREATE TABLE notice (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer TEXT NOT NULL,
    text TEXT NOT NULL);
