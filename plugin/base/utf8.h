/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef FT_BASE_UTF8_H
#define FT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are valid UTF-8; NUL bytes are. */
bool ft_utf8_valid(const char *bytes, size_t len);

/* Whether valid UTF-8 holds a control character: U+0000..1F, U+007F, U+0080..9F. */
bool ft_utf8_has_control(const char *bytes, size_t len);

#endif
