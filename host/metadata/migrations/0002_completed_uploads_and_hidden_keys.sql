-- Which upload a version was, so that a completion sent again gets the same answer.
ALTER TABLE version ADD COLUMN upload TEXT;
CREATE INDEX version_by_upload ON version (upload) WHERE upload IS NOT NULL;
-- job.kind has one more: 3 leaves the backend's delete marker for ours, version_id.
