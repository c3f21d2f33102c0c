/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The same once more, with chunks as large as they are in earnest. */
#define FT_RANGES_CHUNK 128
#include "test_ranges.c"
