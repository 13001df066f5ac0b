-- Writes of which a backend gave no answer and has nothing: it may carry them out late, so they
-- are looked for again.
ALTER TABLE write_intent ADD COLUMN unheard INTEGER; -- when the backend first had nothing of it
ALTER TABLE write_intent ADD COLUMN due INTEGER NOT NULL DEFAULT 0; -- when it is looked for again
-- job.kind has one more: 4 looks at `name` for what `write_id` stored after its intent went.
ALTER TABLE job ADD COLUMN name TEXT; -- JSON
ALTER TABLE job ADD COLUMN write_id TEXT;
