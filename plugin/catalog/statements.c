/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog/statements.h"

const char *const ft_sql_text[FT_SQL_COUNT] = {
#define X(symbol, text) [FT_SQL_##symbol] = text,
	FT_SQL_TABLE(X)
#undef X
};
