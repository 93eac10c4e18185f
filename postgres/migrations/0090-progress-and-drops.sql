-- How much of a session's progress rests on declarations alone, which anybody may have made.

create function dropped_count(received int8multirange, dropped int8multirange) returns numeric
  language sql immutable parallel safe
  return case when isempty(dropped) then 0 else (
    select coalesce(sum(upper(range)::numeric - lower(range)), 0)
    from unnest((dropped - received) * int8multirange(int8range(0, contiguous_until(received + dropped), '[]'))) as range
  ) end;
comment on function dropped_count(int8multirange, int8multirange) is 'How many of the numbers up to contiguous_until(received + dropped) were declared as dropped and not received.';
