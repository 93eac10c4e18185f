-- What the records of neighbouring batches can be searched for, so that a search reads few of them.

create table search_summaries (
  slice smallint not null,
  first_id bigint not null,
  last_id bigint not null,
  bytes bytea not null,
  primary key (slice, first_id)
);

-- Nothing is saved by compressing a slice, and it is short enough to stay in its row.
alter table search_summaries alter column bytes set storage external;

comment on table search_summaries is 'Which terms the records of some batches have, written in their transaction. A summary has several rows, as a search needs few of its slices: search/slices.ts. Batches without a summary are read by every search.';
comment on column search_summaries.slice is 'Which terms this row has: 0 has none, but the batches of the summary.';
comment on column search_summaries.first_id is 'The lowest batch id of the summary, the same in all of its rows. All its batches are of one day.';
comment on column search_summaries.last_id is 'The highest batch id of the summary.';
comment on column search_summaries.bytes is 'Terms, and which batches have them; for programs only.';
