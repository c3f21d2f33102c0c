/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The main() of a test program: FT_SUITE("topic", test_a, test_b, ...)
 * runs the tests in processes of their own and prints Check's summary line.
 */
#ifndef FT_TESTS_SUITE_H
#define FT_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#define FT_SUITE_TIMEOUT_S 300	/* a disk may be slow, and busy with others */

static inline int ft_suite_run(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	TCase *cases = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(cases, FT_SUITE_TIMEOUT_S);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(cases, tests[i]);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Thousands of runs, for which it makes no difference where the files lie. */
static inline void ft_suite_use_memory(void)
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
}

#define FT_SUITE_IN_MEMORY(name, ...) \
	int main(void) \
	{ \
		const TTest *const tests[] = { __VA_ARGS__ }; \
		ft_suite_use_memory(); \
		return ft_suite_run(name, tests, sizeof tests / sizeof tests[0]); \
	} \
	struct ft_suite_ends_with_semicolon

#define FT_SUITE(name, ...) \
	int main(void) \
	{ \
		const TTest *const tests[] = { __VA_ARGS__ }; \
		return ft_suite_run(name, tests, sizeof tests / sizeof tests[0]); \
	} \
	struct ft_suite_ends_with_semicolon

#endif
