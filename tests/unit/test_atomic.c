/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/atomic.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../suite.h"
#include "../tree.h"

/* A directory of its own, as path and descriptor. */
struct place {
	char path[64];
	int dir;
};

static void open_place(struct place *place)
{
	ck_assert(tree_make(place->path, sizeof place->path, "ft-atomic"));
	place->dir = open(place->path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(place->dir, 0);
}

static void close_place(struct place *place)
{
	static const char *const names[] = {"name", "tmp", "target"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlinkat(place->dir, names[i], 0);
	close(place->dir);
	ck_assert_int_eq(rmdir(place->path), 0);
}

static bool exists(const struct place *place, const char *name)
{
	return faccessat(place->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void expect_content(const struct place *place, const char *name, const char *text)
{
	char got[64] = "";
	int fd = openat(place->dir, name, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, got, sizeof got - 1), (ssize_t)strlen(text));
	ck_assert_str_eq(got, text);
	close(fd);
}

static void put(const struct place *place, const char *name, const char *text)
{
	int fd = openat(place->dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

START_TEST(test_atomic__shows_the_file_at_commit_only)
{
	struct ft_atomic file;
	struct place place;

	open_place(&place);
	ck_assert_int_eq(ft_atomic_open(&file, place.dir, "tmp"), FT_OK);
	ck_assert_int_eq(write(file.fd, "text", 4), 4);
	ck_assert(!exists(&place, "name"));
	ck_assert_int_eq(ft_atomic_commit(&file, place.dir, "name", NULL), FT_OK);
	ck_assert_int_eq(file.fd, -1);
	ck_assert(!exists(&place, "tmp"));
	expect_content(&place, "name", "text");
	close_place(&place);
}
END_TEST

START_TEST(test_atomic__leaves_nothing_after_abort)
{
	struct ft_atomic file;
	struct place place;

	open_place(&place);
	put(&place, "name", "old");
	ck_assert_int_eq(ft_atomic_open(&file, place.dir, "tmp"), FT_OK);
	ft_atomic_abort(&file);
	ft_atomic_abort(&file);
	ck_assert(!exists(&place, "tmp"));
	expect_content(&place, "name", "old");
	close_place(&place);
}
END_TEST

START_TEST(test_atomic__replaces_what_is_there)
{
	struct place place;

	open_place(&place);
	put(&place, "name", "old and longer");
	ck_assert_int_eq(ft_atomic_write(place.dir, "tmp", place.dir, "name", "new", 3, true),
			 FT_OK);
	expect_content(&place, "name", "new");
	close_place(&place);
}
END_TEST

START_TEST(test_atomic__hands_the_descriptor_over)
{
	struct ft_atomic file;
	struct place place;
	int fd = -1;

	open_place(&place);
	ck_assert_int_eq(ft_atomic_open(&file, place.dir, "tmp"), FT_OK);
	ck_assert_int_eq(ft_atomic_commit(&file, place.dir, "name", &fd), FT_OK);
	ck_assert_int_eq(write(fd, "later", 5), 5);
	close(fd);
	expect_content(&place, "name", "later");
	close_place(&place);
}
END_TEST

START_TEST(test_atomic__sets_its_mode_whatever_the_umask)
{
	mode_t before = umask(077);
	struct place place;
	struct stat st;

	open_place(&place);
	ck_assert_int_eq(ft_atomic_write(place.dir, "tmp", place.dir, "name", "x", 1, false),
			 FT_OK);
	umask(before);
	ck_assert_int_eq(fstatat(place.dir, "name", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	close_place(&place);
}
END_TEST

START_TEST(test_atomic__writes_through_no_link)
{
	struct place place;

	open_place(&place);
	put(&place, "target", "precious");
	ck_assert_int_eq(symlinkat("target", place.dir, "tmp"), 0);
	ck_assert_int_eq(ft_atomic_write(place.dir, "tmp", place.dir, "name", "x", 1, false),
			 FT_OK);
	expect_content(&place, "target", "precious");
	ck_assert_int_eq(unlinkat(place.dir, "name", 0), 0);
	/* Nor into another name of the same file. */
	ck_assert_int_eq(linkat(place.dir, "target", place.dir, "tmp", 0), 0);
	ck_assert_int_eq(ft_atomic_write(place.dir, "tmp", place.dir, "name", "x", 1, false),
			 FT_OK);
	expect_content(&place, "target", "precious");
	close_place(&place);
}
END_TEST

START_TEST(test_atomic__fails_where_the_directory_is_gone)
{
	struct ft_atomic file;
	struct place place;

	open_place(&place);
	ck_assert_int_eq(rmdir(place.path), 0);
	ck_assert_int_eq(ft_atomic_open(&file, place.dir, "tmp"), FT_NO_SUCH_TRANSFER);
	ft_atomic_abort(&file);
	close(place.dir);
}
END_TEST

FT_SUITE("atomic",
	 test_atomic__shows_the_file_at_commit_only,
	 test_atomic__leaves_nothing_after_abort,
	 test_atomic__replaces_what_is_there,
	 test_atomic__hands_the_descriptor_over,
	 test_atomic__sets_its_mode_whatever_the_umask,
	 test_atomic__writes_through_no_link,
	 test_atomic__fails_where_the_directory_is_gone);
