-- People who deleted their accounts, for each cell that has to forget them still: until then their addresses stand among the
-- former ones. The server that serves the cell takes them out of its alerts, and leaves the mark in its bucket that keeps a
-- restore from bringing them back.
CREATE TABLE leaving_people (
    user_id TEXT NOT NULL,
    cell TEXT NOT NULL,
    PRIMARY KEY (user_id, cell)
);
CREATE INDEX leaving_people_by_cell ON leaving_people (cell);
