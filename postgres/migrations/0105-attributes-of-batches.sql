-- Finds the batches of closed days by their attributes, as records_..._by_attributes finds the records. Batches without
-- attributes are not in it.
create index batches_by_attributes on batches using gin (attributes jsonb_path_ops) where attributes is not null;
