/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "file_transfer/status.h"

#include <assert.h>

struct row {
	const char *word;
	const char *text;
	unsigned retry_after;
	enum ft_puback puback;
	uint8_t code;
};

static const struct row rows[FT_STATUS_COUNT] = {
#define X(symbol, word_, code_, puback_, retry_, text_) \
	[symbol] = { .word = word_, .text = text_, .retry_after = retry_, .puback = puback_, \
		     .code = code_ },
	FT_STATUS_TABLE(X)
#undef X
};

static const struct row *status_row_of(enum ft_status status)
{
	assert(status < FT_STATUS_COUNT);
	return &rows[status];
}

const char *ft_status_word(enum ft_status status)
{
	return status_row_of(status)->word;
}

uint8_t ft_status_code(enum ft_status status)
{
	return status_row_of(status)->code;
}

enum ft_puback ft_status_puback(enum ft_status status)
{
	return status_row_of(status)->puback;
}

unsigned ft_status_retry_after(enum ft_status status)
{
	return status_row_of(status)->retry_after;
}

const char *ft_status_text(enum ft_status status)
{
	return status_row_of(status)->text;
}
