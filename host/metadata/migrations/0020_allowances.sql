-- What buckets and locations may hold, in bytes, and what they do: a row only for those that
-- have a limit, kept up to date by the triggers.
CREATE TABLE bucket_allowance (
    bucket INTEGER PRIMARY KEY,
    most   INTEGER NOT NULL,
    used   INTEGER NOT NULL
);
CREATE TABLE location_allowance (
    location TEXT PRIMARY KEY,
    most     INTEGER NOT NULL,
    used     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER bucket_uses_more AFTER INSERT ON version BEGIN
    UPDATE bucket_allowance SET used = used + NEW.size WHERE bucket = NEW.bucket;
END;
CREATE TRIGGER bucket_uses_less AFTER DELETE ON version BEGIN
    UPDATE bucket_allowance SET used = used - OLD.size WHERE bucket = OLD.bucket;
END;
CREATE TRIGGER bucket_uses_nothing AFTER DELETE ON bucket BEGIN
    DELETE FROM bucket_allowance WHERE bucket = OLD.id;
END;
CREATE TRIGGER location_uses_more AFTER INSERT ON segment BEGIN
    UPDATE location_allowance SET used = used + NEW.length WHERE location = NEW.location;
END;
CREATE TRIGGER location_uses_less AFTER DELETE ON segment BEGIN
    UPDATE location_allowance SET used = used - OLD.length WHERE location = OLD.location;
END;
