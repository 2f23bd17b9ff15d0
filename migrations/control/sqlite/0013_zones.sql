-- The zone in which a person sees times, by its IANA name; none until one is chosen.
ALTER TABLE users ADD COLUMN zone TEXT;
