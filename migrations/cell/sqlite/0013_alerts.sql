-- What an agent failed and spent up to here no longer counts against it: somebody looked, and resumed it.
ALTER TABLE agents ADD COLUMN resumed_us BIGINT NOT NULL DEFAULT 0;

-- Not told before this time: it is being told, or waits after a failure.
ALTER TABLE alerts ADD COLUMN next_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
-- JSON: fingerprints of those who were reached, while the others are tried again.
ALTER TABLE alerts ADD COLUMN reached TEXT;

-- What the call asked for, for whoever ends the reservation in its place.
ALTER TABLE reservations ADD COLUMN tool TEXT NOT NULL DEFAULT 'generate';
ALTER TABLE reservations ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE reservations ADD COLUMN prompt_hash TEXT NOT NULL DEFAULT '';
