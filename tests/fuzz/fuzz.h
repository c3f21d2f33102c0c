/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the fuzz targets share. A target is one function, fuzz_<name>(), that aborts
 * where something does not hold which must hold for every input. Built by libFuzzer
 * (tests/fuzz/run) it is the entry point; test_corpora.c calls all of them on the
 * inputs kept in corpus/<name>/.
 */
#ifndef FT_TESTS_FUZZ_H
#define FT_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the input comes from, for messages. */
static const char *fuzz_name = "input";

#define fuzz_check(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s: does not hold: %s\n", __FILE__, __LINE__, \
				fuzz_name, #condition); \
			abort(); \
		} \
	} while (0)

#ifdef FT_FUZZER
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
#define FUZZ_TARGET(name) \
	static void fuzz_##name(const uint8_t *bytes, size_t len); \
	int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) \
	{ \
		fuzz_##name(bytes, len); \
		return 0; \
	} \
	static void fuzz_##name(const uint8_t *bytes, size_t len)
#else
#define FUZZ_TARGET(name) \
	__attribute__((unused)) static void fuzz_##name(const uint8_t *bytes, size_t len)
#endif

/* What is left of the input. */
struct fuzz_input {
	const uint8_t *bytes;
	size_t len;
};

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
	if (input->len == 0)
		return 0;
	input->len--;
	return *input->bytes++;
}

static inline unsigned fuzz_u16(struct fuzz_input *input)
{
	unsigned high = fuzz_byte(input);

	return high << 8 | fuzz_byte(input);
}

/* Up to `len` bytes as a text of their own, malloc'd to just its size: overruns are seen. */
static inline char *fuzz_text(struct fuzz_input *input, size_t len)
{
	char *text;

	if (len > input->len)
		len = input->len;
	len = strnlen((const char *)input->bytes, len);
	text = malloc(len + 1);
	if (!text)
		abort();
	memcpy(text, input->bytes, len);
	text[len] = '\0';
	input->bytes += len;
	input->len -= len;
	if (input->len > 0 && *input->bytes == '\0')
		(void)fuzz_byte(input);
	return text;
}

#endif
