/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What catalog.db looks like. FORMAT, version 1; the comments in schema.c say what the tables
 * mean, and `sqlite3 catalog.db .schema` shows them to operators.
 *
 * Text that clients choose (ids, names, topics) is bytes. One rule for all of it: valid UTF-8
 * without a NUL is TEXT, everything else is BLOB. So equal bytes are equal values, which is
 * not so between a TEXT and a BLOB of the same bytes. ft_query_bytes() keeps the rule.
 */
#ifndef FT_CATALOG_SCHEMA_H
#define FT_CATALOG_SCHEMA_H

/* PRAGMA application_id: "FtCa". Never changes. */
#define FT_SCHEMA_APPLICATION 0x46744361

/* PRAGMA user_version. A newer one is refused, an older one is brought up to date in ft_catalog_open(). */
#define FT_SCHEMA_VERSION 1

/* Kinds of ranges. On disk: never renumber. */
#define FT_SCHEMA_HELD 1
#define FT_SCHEMA_DURABLE 2

/* Makes all tables, in an empty database and within a transaction. */
extern const char ft_schema_create[];

/*
 * Makes what later versions added, where it is absent. A version that does not know it leaves it
 * alone, so it is still version 1 of the format.
 */
extern const char ft_schema_add[];

/* Set on each connection before anything else. */
extern const char ft_schema_settings[];

/* After a power cut, within a transaction: held becomes what was durable. */
extern const char ft_schema_cut[];

#endif
