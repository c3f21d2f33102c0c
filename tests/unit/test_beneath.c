/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Opening below a directory, with openat2() and where there is none. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "../suite.h"
#include "../tree.h"

typedef int open_beneath(int dir, const char *path, int flags);

static open_beneath *const ways[] = { ft_open_beneath, ft_open_beneath_by_steps };
static char top[100];
static int dir;

static void set_up(void)
{
	ck_assert(tree_make(top, sizeof top, "ft-beneath"));
	ck_assert_int_ge(dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
	ck_assert_int_eq(mkdirat(dir, "a", 0750), 0);
	ck_assert_int_eq(mkdirat(dir, "a/b", 0750), 0);
	ck_assert_int_eq(close(openat(dir, "a/b/file", O_CREAT | O_WRONLY, 0640)), 0);
	ck_assert_int_eq(symlinkat("b/file", dir, "a/inside"), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", dir, "a/outside"), 0);
	ck_assert_int_eq(symlinkat("/etc", dir, "a/etc"), 0);
}

static void tear_down(void)
{
	close(dir);
	tree_remove(top);
}

static void opens(open_beneath *way, const char *path, int flags)
{
	struct stat st;
	int fd = way(dir, path, flags);

	ck_assert_msg(fd >= 0, "%s: %d", path, errno);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(flags & O_DIRECTORY ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
	close(fd);
}

static void refuses(open_beneath *way, const char *path, int flags)
{
	size_t before = tree_entries("/proc/self/fd");

	ck_assert_msg(way(dir, path, flags) < 0, "%s", path);
	ck_assert_msg(errno == EXDEV || errno == ELOOP || errno == ENOTDIR || errno == ENOENT, "%s: %d",
		      path, errno);
	ck_assert_uint_eq(tree_entries("/proc/self/fd"), before);
}

START_TEST(test_beneath__opens_files_and_directories)
{
	opens(ways[_i], "a/b/file", O_RDONLY);
	opens(ways[_i], "a/b/file", O_PATH);
	opens(ways[_i], "a/b", O_RDONLY | O_DIRECTORY);
	opens(ways[_i], "a", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}
END_TEST

START_TEST(test_beneath__never_leaves)
{
	static const char *const paths[] = {
		"/etc/passwd", "..", "a/../../x", "a/outside", "a/etc/passwd", "a/etc", "a/nothing", "a/b/file/x",
	};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		refuses(ways[_i], paths[i], O_RDONLY);
		refuses(ways[_i], paths[i], O_PATH);
	}
}
END_TEST

START_TEST(test_beneath__follows_no_link_by_steps)
{
	refuses(ft_open_beneath_by_steps, "a/inside", O_RDONLY);
	refuses(ft_open_beneath_by_steps, "a/inside", O_PATH);
}
END_TEST

START_TEST(test_beneath__names_that_are_too_long_are_refused)
{
	char path[400];

	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	ck_assert_int_lt(ways[_i](dir, path, O_RDONLY), 0);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

int main(void)
{
	return ft_suite_run(&(struct ft_suite){
		.name = "beneath",
		FT_TESTS(test_beneath__opens_files_and_directories, test_beneath__never_leaves,
			 test_beneath__follows_no_link_by_steps,
			 test_beneath__names_that_are_too_long_are_refused),
		.set_up = set_up, .tear_down = tear_down,
		.times = 2,	/* each way */
	});
}
