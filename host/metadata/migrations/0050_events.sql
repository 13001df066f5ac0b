-- Events that wait for their destinations: written with the change that they tell of, and
-- gone when they are delivered. How many wait is kept by triggers, so that an event costs the
-- same however many there are.
CREATE TABLE event (
    id          INTEGER PRIMARY KEY, -- assigned at commit, greater is newer
    destination TEXT NOT NULL,
    detail      TEXT NOT NULL        -- JSON
);
CREATE INDEX event_by_destination ON event (destination, id);

CREATE TABLE event_queue (
    destination TEXT PRIMARY KEY,
    pending     INTEGER NOT NULL,
    dropped     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER event_waits AFTER INSERT ON event BEGIN
    INSERT INTO event_queue (destination, pending, dropped) VALUES (NEW.destination, 1, 0)
        ON CONFLICT (destination) DO UPDATE SET pending = pending + 1;
END;
CREATE TRIGGER event_is_gone AFTER DELETE ON event BEGIN
    UPDATE event_queue SET pending = pending - 1 WHERE destination = OLD.destination;
END;
