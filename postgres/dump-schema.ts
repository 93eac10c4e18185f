import { type Kysely, sql } from "kysely";
import type { Database } from "./tables.ts";

/*
 * Writes schema.sql: the schema that all migrations together create, for readers. It is read from PostgreSQL's catalogs,
 * because pg_dump may not be installed. No program runs it. Day partitions are omitted.
 */

/** The schema `public`, one statement per paragraph, in a stable order. */
export async function dumpSchema(db: Kysely<Database>): Promise<string> {
  const parts: string[] = [];
  for (const query of [extensions, sequences, types, functions, tables, indexes, views]) {
    const { rows } = await query.execute(db);
    parts.push(...rows.map(({ text }) => text));
  }
  return `${parts.join("\n\n")}\n`;
}

const ours = sql`
  class.relnamespace = 'public'::regnamespace
  and class.relname !~ '^record_batches_\\d{8}' and class.relname !~ '^kysely_'`;

const extensions = sql<{ text: string }>`
  select format('create extension %I;', extname) as text
  from pg_extension where extnamespace = 'public'::regnamespace
  order by extname`;

const sequences = sql<{ text: string }>`
  select format(E'create sequence %s as %s minvalue %s maxvalue %s%s;', class.relname,
    seqtypid::regtype, seqmin, seqmax, case when seqcycle then ' cycle' end)
    || coalesce(format(E'\ncomment on sequence %s is %L;', class.relname, obj_description(class.oid, 'pg_class')), '')
    as text
  from pg_sequence join pg_class class on class.oid = seqrelid
  where ${ours} and not exists (select from pg_depend where objid = class.oid and deptype in ('i', 'a'))
  order by class.relname`;

const types = sql<{ text: string }>`
  select format(E'create type %s as (\n%s\n);', class.relname,
      (select string_agg(format('  %I %s', attname, format_type(atttypid, atttypmod)), E',\n' order by attnum)
      from pg_attribute where attrelid = class.oid and attnum > 0 and not attisdropped))
    || coalesce(format(E'\ncomment on type %s is %L;', class.relname, obj_description(class.reltype, 'pg_type')), '')
    as text
  from pg_class class where class.relkind = 'c' and ${ours}
  order by class.relname`;

const functions = sql<{ text: string }>`
  select trim(trailing E'\n' from pg_get_functiondef(oid)) || ';'
    || coalesce(format(E'\ncomment on function %s is %L;', oid::regprocedure, obj_description(oid, 'pg_proc')), '')
    as text
  from pg_proc where pronamespace = 'public'::regnamespace
    and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')
  order by proname`;

const tables = sql<{ text: string }>`
  select format(E'create table %s%s (\n%s\n)%s%s;', class.relname,
      (select format(' partition of %s', inhparent::regclass) from pg_inherits where inhrelid = class.oid),
      (select string_agg(line, E',\n' order by place, line) from (
        select attnum as place, format('  %I %s%s%s%s', attname, format_type(atttypid, atttypmod),
          case attidentity when 'a' then ' generated always as identity' end,
          case when attnotnull then ' not null' end,
          ' default ' || pg_get_expr(adbin, adrelid)) as line
        from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where attrelid = class.oid and attnum > 0 and not attisdropped
        union all
        select 10000, format('  constraint %s %s', conname, pg_get_constraintdef(pg_constraint.oid))
        from pg_constraint where conrelid = class.oid and contype <> 'n'
      ) lines),
      ' partition by ' || pg_get_partkeydef(class.oid),
      ' with (' || array_to_string(reloptions, ', ') || ')')
    || coalesce(format(E'\ncomment on table %s is %L;', class.relname, obj_description(class.oid, 'pg_class')), '')
    || coalesce((
      select string_agg(format(E'\ncomment on column %s.%I is %L;', class.relname, attname,
        col_description(class.oid, attnum)), '' order by attnum)
      from pg_attribute where attrelid = class.oid and col_description(class.oid, attnum) is not null), '')
    as text
  from pg_class class
  where class.relkind in ('r', 'p') and ${ours}
  order by class.relname`;

const indexes = sql<{ text: string }>`
  select string_agg(pg_get_indexdef(class.oid) || ';', E'\n' order by class.relname) as text
  from pg_index join pg_class class on class.oid = indexrelid
  where not exists (select from pg_constraint where conindid = indexrelid)
    and not exists (select from pg_inherits where inhrelid = indexrelid)
    and ${ours}
  group by indrelid order by indrelid::regclass::text`;

const views = sql<{ text: string }>`
  select format(E'create view %s as\n%s', class.relname, pg_get_viewdef(class.oid, true))
    || coalesce(format(E'\ncomment on view %s is %L;', class.relname, obj_description(class.oid, 'pg_class')), '')
    || coalesce((
      select string_agg(format(E'\ncomment on column %s.%I is %L;', class.relname, attname,
        col_description(class.oid, attnum)), '' order by attnum)
      from pg_attribute where attrelid = class.oid and col_description(class.oid, attnum) is not null), '')
    as text
  from pg_class class where class.relkind = 'v' and ${ours}
  order by class.relname`;
