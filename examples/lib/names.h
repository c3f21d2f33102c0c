/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Names that brokers and JSON take, from paths that may have anything in them. */
#ifndef EXAMPLES_NAMES_H
#define EXAMPLES_NAMES_H

/*
 * The name for a path: its last part, with what a broker refuses ('\\', ':', control
 * characters, bytes that are no UTF-8) as '_', and at most 240 bytes. To be freed; NULL: no memory.
 */
char *name_of_path(const char *path);

/* `path` as UTF-8, which JSON has to be: other bytes become underscores. To be freed. */
char *name_text(const char *path);

#endif
