-- JSON: the key, signed by the one that came after it. A key without one is believed only while the settings name it.
ALTER TABLE signing_keys ADD COLUMN endorsement TEXT;
