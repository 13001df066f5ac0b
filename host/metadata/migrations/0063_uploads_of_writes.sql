-- The backend's upload in which a write puts its bytes together: what takes the write back
-- queues its abort.
ALTER TABLE write_intent ADD COLUMN upload BLOB;
