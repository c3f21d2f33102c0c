/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The main() of a test program: FT_SUITE("topic", test_a, test_b, ...)
 * runs the tests in processes of their own and prints Check's summary line.
 * A main() that has more to do calls ft_suite_run() itself:
 *
 *	return ft_suite_run(&(struct ft_suite){ .name = "topic", FT_TESTS(test_a, test_b) });
 */
#ifndef FT_TESTS_SUITE_H
#define FT_TESTS_SUITE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FT_SUITE_TIMEOUT_S 600	/* a disk may be slow, and busy with others */

struct ft_suite {
	const char *name;
	const TTest *const *tests;
	size_t count;
	void (*set_up)(void);		/* before and after each test, or NULL */
	void (*tear_down)(void);
	int times;			/* each test, with _i from 0 on; 0: once */
};

#define FT_TESTS(...) \
	.tests = (const TTest *const[]){ __VA_ARGS__ }, \
	.count = sizeof (const TTest *const[]){ __VA_ARGS__ } / sizeof(const TTest *)

/* Ends a test that cannot be run here; tests/run counts it as skipped. */
#define FT_SKIP(why) \
	do { \
		printf("skipped %s: %s\n", __func__, why); \
		return; \
	} while (0)

/* With time enough for a disk that is slow, and a machine that is (FT_TIMEOUT_SCALE); libcheck gives 4 s. */
static inline TCase *ft_suite_cases(const char *name)
{
	TCase *cases = tcase_create(name);
	const char *scale = getenv("FT_TIMEOUT_SCALE");
	double slowness = scale ? strtod(scale, NULL) : 1;

	tcase_set_timeout(cases, FT_SUITE_TIMEOUT_S * (slowness > 1 ? slowness : 1));
	return cases;
}

/* Runs and frees it; returns what main() does. */
static inline int ft_suite_finish(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int ft_suite_run(const struct ft_suite *suite)
{
	Suite *whole = suite_create(suite->name);
	TCase *cases = ft_suite_cases(suite->name);

	tcase_add_checked_fixture(cases, suite->set_up, suite->tear_down);
	for (size_t i = 0; i < suite->count; i++)
		tcase_add_loop_test(cases, suite->tests[i], 0, suite->times ? suite->times : 1);
	suite_add_tcase(whole, cases);
	return ft_suite_finish(whole);
}

/* Thousands of runs, for which it makes no difference where the files lie. */
static inline void ft_suite_use_memory(void)
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
}

#define FT_SUITE_IN_MEMORY(title, ...) \
	int main(void) \
	{ \
		ft_suite_use_memory(); \
		return ft_suite_run(&(struct ft_suite){ .name = title, FT_TESTS(__VA_ARGS__) }); \
	} \
	struct ft_suite_ends_with_semicolon

#define FT_SUITE(title, ...) \
	int main(void) \
	{ \
		return ft_suite_run(&(struct ft_suite){ .name = title, FT_TESTS(__VA_ARGS__) }); \
	} \
	struct ft_suite_ends_with_semicolon

#define FT_SUITE_WITH(title, before, after, ...) \
	int main(void) \
	{ \
		return ft_suite_run(&(struct ft_suite){ \
			.name = title, .set_up = before, .tear_down = after, \
			FT_TESTS(__VA_ARGS__) }); \
	} \
	struct ft_suite_ends_with_semicolon

#define FT_SUITE_IN_MEMORY_WITH(title, before, after, ...) \
	int main(void) \
	{ \
		ft_suite_use_memory(); \
		return ft_suite_run(&(struct ft_suite){ \
			.name = title, .set_up = before, .tear_down = after, \
			FT_TESTS(__VA_ARGS__) }); \
	} \
	struct ft_suite_ends_with_semicolon

#endif
