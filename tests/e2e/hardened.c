/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Starts a program the way a hardened systemd unit does, without systemd.
 *
 *	hardened RULES PROGRAM ARGUMENT...
 *
 * RULES is a file of lines:
 *
 *	allow SYSCALL	SystemCallFilter=: all others end the process by SIGSYS
 *	refuse SYSCALL	all others are allowed, this one is EPERM
 *	family NUMBER	RestrictAddressFamilies=, one line each
 *	nowx		MemoryDenyWriteExecute=
 *	memlock		LimitMEMLOCK=0
 *	strict		ProtectSystem=strict: all is read-only but
 *	write DIR	ReadWritePaths=
 *	subset		ProcSubset=pid
 *	user UID GID	User=, without any capability
 *
 * Ends with 77 where the kernel does not let it do so.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOT_HERE 77
#define FAMILIES_MAX 64

#ifndef MOUNT_ATTR_RDONLY
struct mount_attr {
	unsigned long long attr_set, attr_clr, propagation, userns_fd;
};
#define MOUNT_ATTR_RDONLY 0x00000001
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static bool families[FAMILIES_MAX];
static bool any_family;

static void must(int result, const char *what)
{
	if (result < 0)
		err(NOT_HERE, "%s", what);
}

static void own_mounts(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	must(unshare(CLONE_NEWNS), "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount --make-rprivate");
}

static void set_read_only(const char *path, bool read_only)
{
	struct mount_attr attr = { .attr_set = read_only ? MOUNT_ATTR_RDONLY : 0,
				   .attr_clr = read_only ? 0 : MOUNT_ATTR_RDONLY };

	must((int)syscall(SYS_mount_setattr, AT_FDCWD, path, read_only ? AT_RECURSIVE : 0, &attr,
			  sizeof attr), path);
}

static void make_writable(const char *path)
{
	own_mounts();
	must(mount(path, path, NULL, MS_BIND, NULL), path);
	set_read_only(path, false);
}

static void limit_memlock(void)
{
	const struct rlimit none = { 0, 0 };

	must(setrlimit(RLIMIT_MEMLOCK, &none), "setrlimit");
}

static void hide_proc(void)
{
	own_mounts();
	must(mount("proc", "/proc", "proc", 0, "subset=pid,hidepid=invisible"), "mount /proc");
}

static void become(char *text)
{
	gid_t gid;
	uid_t uid = (uid_t)strtoul(text, &text, 10);

	gid = (gid_t)strtoul(text, NULL, 10);
	must(setgroups(0, NULL), "setgroups");
	must(setresgid(gid, gid, gid), "setresgid");
	must(setresuid(uid, uid, uid), "setresuid");
}

static void rule(scmp_filter_ctx filter, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);

	/* systemd's sets name calls of other machines, too. */
	if (number >= 0)
		must(seccomp_rule_add(filter, action, number, 0) != 0 ? -1 : 0, name);
}

static void load(scmp_filter_ctx filter)
{
	must(seccomp_load(filter) != 0 ? -1 : 0, "seccomp_load");
	seccomp_release(filter);
}

static void no_write_and_execute(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	const scmp_datum_t both = PROT_EXEC | PROT_WRITE;

	seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
			 SCMP_A2(SCMP_CMP_MASKED_EQ, both, both));
	seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect), 1,
			 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	load(filter);
}

static void restrict_families(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	for (unsigned i = 0; i < FAMILIES_MAX; i++)
		if (!families[i])
			seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
					 SCMP_A0(SCMP_CMP_EQ, i, 0));
	load(filter);
}

int main(int argc, char **argv)
{
	scmp_filter_ctx only = NULL, refused = seccomp_init(SCMP_ACT_ALLOW);
	bool nowx = false;
	char line[512], *user = NULL;
	FILE *rules = argc > 2 ? fopen(argv[1], "re") : NULL;

	if (!rules)
		errx(2, "usage: hardened RULES PROGRAM ARGUMENT...");
	while (fgets(line, sizeof line, rules)) {
		char *rest = line, *word = strsep(&rest, " \n"), *value = strsep(&rest, "\n");

		if (strcmp(word, "allow") == 0) {
			if (!only)
				only = seccomp_init(SCMP_ACT_KILL_PROCESS);
			rule(only, SCMP_ACT_ALLOW, value);
		} else if (strcmp(word, "refuse") == 0) {
			rule(refused, SCMP_ACT_ERRNO(EPERM), value);
		} else if (strcmp(word, "family") == 0) {
			any_family = families[strtoul(value, NULL, 10) % FAMILIES_MAX] = true;
		} else if (strcmp(word, "nowx") == 0) {
			nowx = true;
		} else if (strcmp(word, "memlock") == 0) {
			limit_memlock();
		} else if (strcmp(word, "strict") == 0) {
			own_mounts();
			set_read_only("/", true);
		} else if (strcmp(word, "write") == 0) {
			make_writable(value);
		} else if (strcmp(word, "subset") == 0) {
			hide_proc();
		} else if (strcmp(word, "user") == 0) {
			user = strdup(value);
		} else {
			errx(2, "unknown rule: %s", word);
		}
	}
	fclose(rules);
	if (user)
		become(user);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	load(refused);
	if (nowx)
		no_write_and_execute();
	if (any_family)
		restrict_families();
	if (only)
		load(only);
	execv(argv[2], argv + 2);
	err(2, "%s", argv[2]);
}
