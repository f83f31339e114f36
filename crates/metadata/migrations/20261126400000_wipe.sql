-- Devices that are to delete what they keep. docs/data-model.md says in prose what each row means.
-- A NULL is what rows had before: nothing was asked.

ALTER TABLE device ADD COLUMN wipe INTEGER;
