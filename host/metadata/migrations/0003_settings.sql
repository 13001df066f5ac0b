-- What is configured of a bucket beyond its versioning, and what a version has beyond what
-- backends are told of: JSON, with what is absent left out.
ALTER TABLE bucket ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE version ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
