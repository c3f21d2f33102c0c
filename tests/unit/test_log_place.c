/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_transfer/logger.h"
#include "log/log.h"
#include "log/place.h"

#include "../suite.h"
#include "../tree.h"

#define FIRST_PID "pid:[4026531836]"
#define FIRST_IPC "ipc:[4026531839]"
#define MEBI ((uint64_t)1 << 20)

/* A machine: its /dev/shm, /proc and /run. The former is a directory in the real one. */
static char root[256];
static char shm[256];
static char storage[300];
static struct ft_log_place_query query;
static struct ft_log_place place;

static void link_namespace(const char *name, const char *what)
{
	char path[512];

	snprintf(path, sizeof path, "%s/proc/self/ns/%s", root, name);
	unlink(path);
	if (what)
		ck_assert_int_eq(symlink(what, path), 0);
}

static void make_dir(const char *under, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", under, name);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void link_shm(const char *to)
{
	char path[512];

	snprintf(path, sizeof path, "%s/dev/shm", root);
	unlink(path);
	ck_assert_int_eq(symlink(to, path), 0);
}

static void set_up(void)
{
	static const char *const dirs[] = { "dev", "proc", "proc/self", "proc/self/ns", "run",
					    "run/systemd", "files" };

	/* /tmp may be in memory; what is here outlives a power cut. */
	ck_assert_int_eq(setenv("TMPDIR", "/var/tmp", 1), 0);
	unsetenv("SYSTEMD_EXEC_PID");
	ck_assert(tree_make(root, sizeof root, "place"));
	snprintf(shm, sizeof shm, "/dev/shm/place-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(shm));
	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
		make_dir(root, dirs[i]);
	link_namespace("pid", FIRST_PID);
	link_namespace("ipc", FIRST_IPC);
	link_shm(shm);
	snprintf(storage, sizeof storage, "%s/files", root);
	query = (struct ft_log_place_query){ .storage_dir = storage, .size = MEBI, .root = root };
}

static void tear_down(void)
{
	tree_remove(root);
	tree_remove(shm);
}

static void choose(void)
{
	enum ft_status st = ft_log_place(&query, &place);

	ck_assert_msg(st == FT_OK, "%s", place.why);
}

static bool is_in(const char *dir)
{
	return strncmp(place.path, dir, strlen(dir)) == 0 && place.path[strlen(dir)] == '/';
}

static void expect_memory(void)
{
	char dir[512];

	choose();
	snprintf(dir, sizeof dir, "%s/dev/shm", root);
	ck_assert_msg(is_in(dir), "%s: %s", place.path, place.why);
	ck_assert_int_eq(place.medium, FT_LOG_IN_MEMORY);
	ck_assert_msg(strstr(place.why, "in memory") != NULL, "%s", place.why);
}

static void expect_storage(const char *why)
{
	char path[512];

	choose();
	snprintf(path, sizeof path, "%s/log", storage);
	ck_assert_str_eq(place.path, path);
	ck_assert_int_eq(place.medium, FT_LOG_ON_DISK);
	ck_assert_msg(strstr(place.why, why) != NULL, "\"%s\" is not in: %s", why, place.why);
	ck_assert_msg(strstr(place.why, "storage_dir") != NULL, "%s", place.why);
}

START_TEST(test_log_place__is_memory_where_that_outlives_the_broker)
{
	expect_memory();
}
END_TEST

START_TEST(test_log_place__is_a_disk_for_what_a_power_cut_must_not_take)
{
	query.sync = FT_LOG_SYNCED;
	expect_storage("durability segment");
}
END_TEST

START_TEST(test_log_place__is_storage_in_a_container)
{
	static const struct {
		const char *pid, *ipc;
	} spaces[] = {
		{ "pid:[4026532000]", FIRST_IPC },
		{ FIRST_PID, "ipc:[4026532000]" },
		{ NULL, FIRST_IPC },
		{ FIRST_PID, NULL },
	};

	for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
		link_namespace("pid", spaces[i].pid);
		link_namespace("ipc", spaces[i].ipc);
		expect_storage("container");
	}
}
END_TEST

START_TEST(test_log_place__is_storage_in_a_unit_with_a_user)
{
	char pid[24];

	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	setenv("SYSTEMD_EXEC_PID", pid, 1);
	setenv("USER", "mosquitto", 1);
	expect_storage("RemoveIPC=");
	unsetenv("USER");
	expect_memory();
	setenv("USER", "mosquitto", 1);
	setenv("SYSTEMD_EXEC_PID", "1", 1);	/* of who started us */
	expect_memory();
}
END_TEST

START_TEST(test_log_place__is_storage_for_a_user_who_logs_out)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(root, 0755) | chmod(shm, 0777), 0);
	ck_assert_int_eq(seteuid(1000), 0);
	expect_memory();
	ck_assert_int_eq(seteuid(0), 0);
	make_dir(root, "run/systemd/system");
	expect_memory();
	ck_assert_int_eq(seteuid(999), 0);
	expect_memory();
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(seteuid(1000), 0);
	expect_storage("logind");
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(test_log_place__is_storage_where_memory_is_none_or_not_writable)
{
	link_shm("/nonexistent");
	expect_storage("no tmpfs");
	link_shm("/proc");
	expect_storage("no tmpfs");
	link_shm(shm);
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(root, 0755) | chmod(shm, 0755), 0);
	ck_assert_int_eq(seteuid(999), 0);
	expect_storage("not writable");
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(test_log_place__is_storage_where_memory_is_small)
{
	query.size = (uint64_t)1 << 50;
	expect_storage("more than a quarter");
}
END_TEST

START_TEST(test_log_place__is_storage_where_somebody_else_took_the_name)
{
	char taken[FT_LOG_PATH_ROOM];

	expect_memory();
	memcpy(taken, place.path, sizeof taken);
	ck_assert_int_eq(symlink("/etc/passwd", taken), 0);
	expect_storage("somebody else");
	ck_assert_int_eq(unlink(taken), 0);
	ck_assert_int_eq(close(open(taken, O_CREAT | O_WRONLY, 0600)), 0);
	expect_memory();
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(taken, 12345, 0), 0);
	expect_storage("somebody else");
}
END_TEST

START_TEST(test_log_place__each_storage_has_a_name_of_its_own)
{
	char first[FT_LOG_PATH_ROOM], linked[512];

	expect_memory();
	memcpy(first, place.path, sizeof first);
	expect_memory();
	ck_assert_str_eq(place.path, first);
	snprintf(linked, sizeof linked, "%s/linked", root);
	ck_assert_int_eq(symlink(storage, linked), 0);
	query.storage_dir = linked;
	expect_memory();
	ck_assert_str_eq(place.path, first);
	make_dir(root, "others");
	snprintf(linked, sizeof linked, "%s/others", root);
	expect_memory();
	ck_assert_str_ne(place.path, first);
}
END_TEST

START_TEST(test_log_place__is_where_the_operator_says)
{
	query.log_dir = shm;
	choose();
	ck_assert(is_in(shm));
	ck_assert_int_eq(place.medium, FT_LOG_IN_MEMORY);
	ck_assert_msg(strstr(place.why, "by log_dir") != NULL, "%s", place.why);
	query.log_dir = root;
	query.sync = FT_LOG_SYNCED;
	choose();
	ck_assert(is_in(root));
	ck_assert_int_eq(place.medium, FT_LOG_ON_DISK);
	query.log_dir = storage;
	choose();
	ck_assert(is_in(storage));
	ck_assert_str_eq(strrchr(place.path, '/'), "/log");
}
END_TEST

START_TEST(test_log_place__that_cannot_be_is_refused)
{
	query.log_dir = "/nonexistent/dir";
	ck_assert_int_eq(ft_log_place(&query, &place), FT_IO_ERROR);
	ck_assert_msg(strstr(place.why, "/nonexistent/dir") && strstr(place.why, "No such"),
		      "%s", place.why);
	query.log_dir = shm;
	query.sync = FT_LOG_SYNCED;
	ck_assert_int_eq(ft_log_place(&query, &place), FT_IO_ERROR);
	ck_assert_msg(strstr(place.why, "power cuts") != NULL, "%s", place.why);
	query.log_dir = NULL;
	query.storage_dir = "/nonexistent/dir";
	ck_assert_int_eq(ft_log_place(&query, &place), FT_IO_ERROR);
}
END_TEST

static size_t former_places(struct ft_log_place former[FT_LOG_FORMER_MAX])
{
	size_t count;

	ck_assert_int_eq(ft_log_former_places(&query, &place, former, &count), FT_OK);
	return count;
}

START_TEST(test_log_place__former_places_are_the_others)
{
	struct ft_log_place former[FT_LOG_FORMER_MAX], memory;

	expect_memory();
	memory = place;
	ck_assert_uint_eq(former_places(former), 1);
	query.sync = FT_LOG_SYNCED;
	expect_storage("");
	ck_assert_str_eq(former[0].path, place.path);
	ck_assert_int_eq(former[0].medium, FT_LOG_ON_DISK);
	ck_assert_uint_eq(former_places(former), 1);
	ck_assert_str_eq(former[0].path, memory.path);
	ck_assert_int_eq(former[0].medium, FT_LOG_IN_MEMORY);
	query.log_dir = root;
	choose();
	ck_assert_uint_eq(former_places(former), 2);
	link_shm("/nonexistent");
	ck_assert_uint_eq(former_places(former), 1);
}
END_TEST

/* --- the note --- */

static void log_dir(const char *name)
{
	static char dir[300];

	snprintf(dir, sizeof dir, "%s/%s", root, name);
	(void)(mkdir(dir, 0755) != 0);
	query.log_dir = dir;
	choose();
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static const char *note_path(void)
{
	static char path[350];

	snprintf(path, sizeof path, "%s/log.path", storage);
	return path;
}

/* Whether what was noted is looked for, now that the log is somewhere else. */
static bool is_found(const char *path)
{
	struct ft_log_place former[FT_LOG_FORMER_MAX];

	log_dir("elsewhere");
	return former_places(former) == 3 && strcmp(former[0].path, path) == 0
	       && former[0].medium == FT_LOG_ON_DISK;
}

START_TEST(test_log_place__elsewhere_is_noted)
{
	struct ft_log_place former[FT_LOG_FORMER_MAX];
	char path[FT_LOG_PATH_ROOM], moved[400];

	log_dir("logs");
	snprintf(path, sizeof path, "%s", place.path);
	ck_assert(ft_log_note_place(storage, &place));
	ck_assert_uint_eq(former_places(former), 2);
	write_file(path, "a log");
	ck_assert(is_found(path));
	/* The directory may be moved; what was copied has a log of its own. */
	snprintf(moved, sizeof moved, "%s/moved", root);
	ck_assert_int_eq(rename(storage, moved), 0);
	query.storage_dir = moved;
	ck_assert(is_found(path));
	query.storage_dir = storage;
	make_dir(root, "files");
	snprintf(moved, sizeof moved, "%s/moved/log.path", root);
	ck_assert_int_eq(rename(moved, note_path()), 0);
	ck_assert(!is_found(path));
	/* Where it need not be noted, nothing is. */
	query.log_dir = storage;
	choose();
	ck_assert(ft_log_note_place(storage, &place));
	ck_assert_int_ne(access(note_path(), F_OK), 0);
}
END_TEST

START_TEST(test_log_place__that_was_noted_and_is_gone_is_refused)
{
	struct ft_log_place former[FT_LOG_FORMER_MAX];
	size_t count;

	log_dir("logs");
	ck_assert(ft_log_note_place(storage, &place));
	log_dir("elsewhere");
	ck_assert_int_eq(ft_log_former_places(&query, &place, former, &count), FT_IO_ERROR);
	ck_assert_msg(strstr(former[0].why, "/logs/mosquitto-file-transfer-")
		      && strstr(former[0].why, "remove log.path in storage_dir"), "%s", former[0].why);
	/* In memory it is gone with each boot. */
	query.log_dir = shm;
	choose();
	ck_assert(ft_log_note_place(storage, &place));
	log_dir("elsewhere");
	ck_assert_uint_eq(former_places(former), 2);
	write_file(note_path(), "1\ndisk\n");
	ck_assert_uint_eq(former_places(former), 2);
	write_file(note_path(), "2\ndisk\n/nonexistent\n1 2 3 4 /x\n");
	ck_assert_uint_eq(former_places(former), 2);
}
END_TEST

/* --- what nobody opens any more --- */

static char said[4096];

static void say(void *context, enum ft_log_level level, const char *line)
{
	(void)context;
	(void)level;
	snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}

static struct ft_logger *logger;

static const char *log_named(const char *name)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/mosquitto-file-transfer-%s", shm, name);
	return path;
}

/* A log of `whose`, with a record in it or without; it stays open. */
static struct ft_log *make_log(const char *name, const char *whose, bool used)
{
	const struct ft_log_config config = {
		.path = log_named(name), .size = FT_LOG_SIZE_MIN, .medium = FT_LOG_IN_MEMORY,
		.identity = "", .whose = whose, .logger = logger,
	};
	const struct ft_log_entry entry = { .kind = FT_RECORD_ABORT, .number = 1 };
	uint8_t id[FT_LOG_ID_LEN];
	enum ft_log_past past;
	struct ft_log *log;

	ck_assert_int_eq(ft_log_open(&config, &log, &past, id), FT_OK);
	if (used)
		ck_assert_int_eq(ft_log_append(log, &entry), FT_OK);
	return log;
}

static void leave_log(const char *name, const char *whose, bool used)
{
	struct ft_log *log = make_log(name, whose, used);

	ft_log_close(&log);
}

static bool is_there(const char *name)
{
	return access(log_named(name), F_OK) == 0;
}

START_TEST(test_log_place__leftovers_that_are_nobodys_are_removed)
{
	char gone[FT_LOG_WHOSE_ROOM], mine[FT_LOG_WHOSE_ROOM], other[FT_LOG_WHOSE_ROOM];
	char unmounted[FT_LOG_WHOSE_ROOM], foreign[FT_LOG_WHOSE_ROOM];
	struct ft_log *held;
	struct stat info;

	said[0] = '\0';
	logger = ft_logger_new(say, NULL);
	ck_assert_ptr_nonnull(logger);
	ft_log_whose(storage, gone);
	ck_assert_int_eq(rmdir(storage), 0);
	make_dir(root, "mine");
	snprintf(storage, sizeof storage, "%s/mine", root);
	ft_log_whose(storage, mine);
	/* Of a disk that is not there now, and of another container. */
	ck_assert_int_eq(stat(root, &info), 0);
	snprintf(unmounted, sizeof unmounted, "%ju%s", (uintmax_t)info.st_dev + 1, strchr(gone, ' '));
	snprintf(foreign, sizeof foreign, "%ju %ju 1 1 %s", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino + 1,
		 strchr(gone, '/'));
	snprintf(other, sizeof other, "%s", mine);
	other[strcspn(other, " ") + 1] ^= 1;	/* another inode was there */
	leave_log("gone", gone, false);
	leave_log("gone.new", gone, false);
	leave_log("replaced", other, false);
	leave_log("used", gone, true);
	leave_log("mine", mine, false);
	leave_log("unsaid", NULL, false);
	leave_log("unmounted", unmounted, false);
	leave_log("foreign", foreign, false);
	held = make_log("held", gone, false);
	write_file(log_named("text"), "not a log");
	make_dir(shm, "mosquitto-file-transfer-dir");
	leave_log("own", gone, false);
	ft_log_remove_leftovers(log_named("own"), logger);
	ft_log_close(&held);
	ck_assert(!is_there("gone") && !is_there("gone.new") && !is_there("replaced"));
	ck_assert(is_there("used") && is_there("mine") && is_there("unsaid") && is_there("unmounted")
		  && is_there("foreign") && is_there("held") && is_there("text") && is_there("dir")
		  && is_there("own"));
	ft_logger_drain(logger);
	ck_assert_ptr_nonnull(strstr(said, "mosquitto-file-transfer-used holds what was acknowledged"));
	ck_assert_ptr_nonnull(strstr(said, "mosquitto-file-transfer-gone is removed: its storage_dir "));
	ft_logger_free(logger);
}
END_TEST

FT_SUITE_WITH("log place", set_up, tear_down,
	      test_log_place__is_memory_where_that_outlives_the_broker,
	      test_log_place__is_a_disk_for_what_a_power_cut_must_not_take,
	      test_log_place__is_storage_in_a_container,
	      test_log_place__is_storage_in_a_unit_with_a_user,
	      test_log_place__is_storage_for_a_user_who_logs_out,
	      test_log_place__is_storage_where_memory_is_none_or_not_writable,
	      test_log_place__is_storage_where_memory_is_small,
	      test_log_place__is_storage_where_somebody_else_took_the_name,
	      test_log_place__each_storage_has_a_name_of_its_own,
	      test_log_place__is_where_the_operator_says,
	      test_log_place__that_cannot_be_is_refused,
	      test_log_place__former_places_are_the_others,
	      test_log_place__elsewhere_is_noted,
	      test_log_place__that_was_noted_and_is_gone_is_refused,
	      test_log_place__leftovers_that_are_nobodys_are_removed);
