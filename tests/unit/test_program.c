/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Programs of the operator's, good and bad. */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/system.h"
#include "../lib/machine.h"
#include "../suite.h"

static struct ft_program program;
static int64_t deadline_ms;

static bool must_end(void *context)
{
	(void)context;
	return ft_clock_ms() >= deadline_ms;
}

/* A line of shell; `input` is what it reads. */
static enum ft_program_end run(const char *script, const char *input, int64_t ms)
{
	char *argv[] = { (char *)(uintptr_t)"/bin/sh", (char *)(uintptr_t)"-c",
			 (char *)(uintptr_t)script, NULL };

	program = (struct ft_program){
		.argv = argv, .input = input, .input_len = strlen(input), .must_end = must_end,
	};
	deadline_ms = ft_clock_ms() + ms;
	return ft_program_run(&program);
}

static void check_out(const char *text)
{
	ck_assert_uint_eq(program.out.len, strlen(text));
	ck_assert(memcmp(program.out.text, text, strlen(text)) == 0);
}

/* No child is left, in whatever state. */
static void check_no_child(void)
{
	ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

START_TEST(test_program__reads_writes_and_ends)
{
	ck_assert_int_eq(run("cat; echo oops >&2; exit 7", "hello", 60000), FT_PROGRAM_EXITED);
	ck_assert_int_eq(program.code, 7);
	check_out("hello");
	ck_assert_uint_eq(program.err.len, 5);
	ck_assert_int_eq(run("", "", 60000), FT_PROGRAM_EXITED);
	ck_assert_int_eq(program.code, 0);
	check_out("");
	check_no_child();
}
END_TEST

START_TEST(test_program__that_is_not_there_is_told)
{
	static const char *const paths[] = { "/nowhere/prog", "/etc/passwd", "/etc" };

	if (!machine_tells_what_spawn_cannot())
		FT_SKIP(MACHINE_SPAWN_TELLS_NOTHING);
	for (size_t i = 0; i < 3; i++) {
		char *argv[] = { (char *)(uintptr_t)paths[i], NULL };

		program = (struct ft_program){ .argv = argv, .input = "", .must_end = must_end };
		ck_assert_int_eq(ft_program_run(&program), FT_PROGRAM_NOT_STARTED);
		ck_assert_int_eq(program.code, i == 0 ? ENOENT : EACCES);
	}
	check_no_child();
}
END_TEST

START_TEST(test_program__that_hangs_is_killed_with_its_children)
{
	char path[] = "/tmp/ft-program-XXXXXX", script[200];
	int fd = mkstemp(path);
	pid_t pid = 0;
	char text[20] = "";

	snprintf(script, sizeof script, "sleep 1000 & echo $! >%s; trap '' TERM; sleep 1000", path);
	ck_assert_int_eq(run(script, "", 500), FT_PROGRAM_KILLED);
	ck_assert_int_gt(pread(fd, text, sizeof text - 1, 0), 0);
	pid = (pid_t)strtol(text, NULL, 10);
	ck_assert_int_gt(pid, 1);
	for (int i = 0; i < 5000 && kill(pid, 0) == 0; i++)	/* until its new parent has seen it die */
		ft_sleep_ms(1);
	unlink(path);
	close(fd);
	check_no_child();
}
END_TEST

/* A child that keeps the pipes open keeps nobody waiting, and ends with its parent. */
START_TEST(test_program__its_children_do_not_outlive_it)
{
	int64_t begun_ms = ft_clock_ms();

	ck_assert_int_eq(run("sleep 1000 & echo done", "", 60000), FT_PROGRAM_EXITED);
	ck_assert_int_eq(program.code, 0);
	check_out("done\n");
	ck_assert_int_lt(ft_clock_ms() - begun_ms, 30000);
}
END_TEST

START_TEST(test_program__that_crashes_is_told)
{
	ck_assert_int_eq(run("kill -SEGV $$", "", 60000), FT_PROGRAM_CRASHED);
	ck_assert_int_eq(program.code, SIGSEGV);
	ck_assert_int_eq(run("kill -9 $$", "", 60000), FT_PROGRAM_CRASHED);
	ck_assert_int_eq(program.code, SIGKILL);
	check_no_child();
}
END_TEST

START_TEST(test_program__of_megabytes_the_end_is_kept)
{
	ck_assert_int_eq(run("head -c 10000000 /dev/zero; echo; echo the end", "", 60000),
			 FT_PROGRAM_EXITED);
	ck_assert_int_eq(program.code, 0);
	ck_assert(program.out.cut && program.out.len <= FT_PROGRAM_OUTPUT);
	ck_assert(memcmp(program.out.text + program.out.len - 8, "the end\n", 8) == 0);
	ck_assert_int_eq(run("head -c 10000000 /dev/zero >&2", "", 60000), FT_PROGRAM_EXITED);
	ck_assert(program.err.cut && program.out.len == 0);
}
END_TEST

START_TEST(test_program__may_close_everything)
{
	ck_assert_int_eq(run("exec <&- >&- 2>&-; exit 3", "input", 60000), FT_PROGRAM_EXITED);
	ck_assert_int_eq(program.code, 3);
	ck_assert_int_eq(run("exec >&- 2>&-; sleep 0.3; exit 4", "input", 60000), FT_PROGRAM_EXITED);
	ck_assert_int_eq(program.code, 4);
}
END_TEST

/* Of ours: descriptors without FD_CLOEXEC, blocked and ignored signals. */
START_TEST(test_program__inherits_nothing)
{
	int fd = open("/dev/null", O_RDONLY);
	unsigned long long blocked, ignored;
	sigset_t all;

	ck_assert_int_ge(fd, 3);
	sigfillset(&all);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, NULL), 0);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(run("ls /proc/self/fd | tr '\\n' ' '; grep -E 'SigBlk|SigIgn' /proc/self/status"
			     " | tr -d '\\n\\t'", "", 60000), FT_PROGRAM_EXITED);
	program.out.text[program.out.len] = '\0';
	ck_assert_msg(sscanf(program.out.text, "0 1 2 3 SigBlk:%llxSigIgn:%llx", &blocked, &ignored) == 2,
		      "%s", program.out.text);	/* 3: the directory */
	ck_assert_uint_eq(blocked, 0);
	ck_assert_uint_eq(ignored & 0x7fffffff, 0);	/* 32 and 33 are the C library's own */
	close(fd);
}
END_TEST

FT_SUITE("program",
	 test_program__reads_writes_and_ends,
	 test_program__that_is_not_there_is_told,
	 test_program__that_hangs_is_killed_with_its_children,
	 test_program__its_children_do_not_outlive_it,
	 test_program__that_crashes_is_told,
	 test_program__of_megabytes_the_end_is_kept,
	 test_program__may_close_everything,
	 test_program__inherits_nothing);
