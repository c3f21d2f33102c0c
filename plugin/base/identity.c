/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/identity.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/system.h"

/* Linux 6.8: a number that is never used again, as those of STATX_MNT_ID are. */
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

/* The kernel's struct statx: musl before 1.2.5 has neither it nor the function. */
struct identity_statx {
	uint32_t mask;
	uint8_t before[0x8c];
	uint64_t mnt_id;
	uint8_t behind[0x68];
};

_Static_assert(offsetof(struct identity_statx, mnt_id) == 0x90, "as in linux/stat.h");
_Static_assert(sizeof(struct identity_statx) == 0x100, "as in linux/stat.h");

static void identity_add_boot(struct ft_buf *buf)
{
	char id[FT_UUID_ROOM];

	if (ft_boot_id(id))
		ft_buf_printf(buf, "boot=%s ", id);
}

static void identity_add_file_system(struct ft_buf *buf, int dir_fd)
{
	struct statfs fs;
	struct stat st;
	uint32_t id[2];

	if (fstatfs(dir_fd, &fs) == 0) {
		_Static_assert(sizeof fs.f_fsid == sizeof id, "f_fsid is two words");
		memcpy(id, &fs.f_fsid, sizeof id);
		ft_buf_printf(buf, "fsid=%08x%08x ", id[0], id[1]);
	}
	if (fstat(dir_fd, &st) == 0)
		ft_buf_printf(buf, "dev=%u:%u ", major(st.st_dev), minor(st.st_dev));
}

static bool identity_add_inode(struct ft_buf *buf, const char *key, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	ft_buf_printf(buf, "%s=%ju ", key, (uintmax_t)st.st_ino);
	return true;
}

/*
 * The kernel makes a directory in /sys for each disk that appears, and for each file system of
 * these kinds that is mounted; an inode number there is not used again.
 */
static void identity_add_kernel_objects(struct ft_buf *buf, int dir_fd)
{
	static const char *const kinds[] = { "ext4", "xfs", "f2fs" };
	char device[64], target[256], path[sizeof target + 32];
	const char *slash;
	struct stat st;
	ssize_t len;

	if (fstat(dir_fd, &st) != 0)
		return;
	snprintf(device, sizeof device, "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	len = readlink(device, target, sizeof target - 1);
	if (len <= 0)
		return;
	target[len] = '\0';
	if (!(slash = strrchr(target, '/')))
		return;
	(void)identity_add_inode(buf, "disk", device);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		snprintf(path, sizeof path, "/sys/fs/%s%s", kinds[i], slash);
		if (identity_add_inode(buf, "super", path))
			return;
	}
}

static void identity_add_mount(struct ft_buf *buf, int dir_fd)
{
	static const unsigned wanted[] = { STATX_MNT_ID_UNIQUE, STATX_MNT_ID };
	struct stat ns;
	struct identity_statx st;

	/* Without its namespace the number of a mount says nothing. */
	if (stat("/proc/self/ns/mnt", &ns) != 0)
		return;
	ft_buf_printf(buf, "ns=%ju ", (uintmax_t)ns.st_ino);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		if (syscall(SYS_statx, dir_fd, "", AT_EMPTY_PATH, wanted[i], &st) != 0
		    || !(st.mask & wanted[i]))
			continue;
		ft_buf_printf(buf, "mnt=%ju ", (uintmax_t)st.mnt_id);
		return;
	}
}

void ft_identity(int dir_fd, char text[FT_IDENTITY_ROOM])
{
	struct ft_buf buf = ft_buf_on(text, FT_IDENTITY_ROOM);

	identity_add_boot(&buf);
	identity_add_file_system(&buf, dir_fd);
	identity_add_kernel_objects(&buf, dir_fd);
	identity_add_mount(&buf, dir_fd);
	if (buf.len > 0)
		text[buf.len - 1] = '\0';	/* the last blank */
}

struct identity_field {
	const char *at;
	size_t len;
};

/* The value of `key`, which ends with "="; false: not there. */
static bool identity_find(const char *text, const char *key, struct identity_field *field)
{
	size_t key_len = strlen(key);

	while (*text) {
		size_t len = strcspn(text, " ");

		if (len > key_len && strncmp(text, key, key_len) == 0) {
			*field = (struct identity_field){ text + key_len, len - key_len };
			return true;
		}
		text += len;
		text += strspn(text, " ");
	}
	return false;
}

/* How a field compares where both have it. */
static enum ft_identity_change identity_field_compare(const char *before, const char *now,
						      const char *key)
{
	struct identity_field a, b;

	if (!identity_find(before, key, &a) || !identity_find(now, key, &b))
		return FT_IDENTITY_UNKNOWN;
	if (a.len == b.len && memcmp(a.at, b.at, a.len) == 0)
		return FT_IDENTITY_SAME;
	return FT_IDENTITY_OTHER;
}

static bool identity_device_is_made_up(const char *text)
{
	struct identity_field field;

	return identity_find(text, "dev=", &field) && strncmp(field.at, "0:", 2) == 0;
}

enum ft_identity_change ft_identity_compare(const char *before, const char *now)
{
	enum ft_identity_change boot = identity_field_compare(before, now, "boot=");
	enum ft_identity_change super = identity_field_compare(before, now, "super=");
	bool made_up = identity_device_is_made_up(before) && identity_device_is_made_up(now);

	if (boot == FT_IDENTITY_OTHER
	    || identity_field_compare(before, now, "fsid=") == FT_IDENTITY_OTHER)
		return FT_IDENTITY_OTHER;
	if (!made_up && identity_field_compare(before, now, "dev=") == FT_IDENTITY_OTHER)
		return FT_IDENTITY_OTHER;
	if (identity_field_compare(before, now, "disk=") == FT_IDENTITY_OTHER
	    || super == FT_IDENTITY_OTHER)
		return FT_IDENTITY_OTHER;
	if (super == FT_IDENTITY_UNKNOWN
	    && identity_field_compare(before, now, "ns=") == FT_IDENTITY_SAME
	    && identity_field_compare(before, now, "mnt=") == FT_IDENTITY_OTHER)
		return FT_IDENTITY_OTHER;
	return boot;
}
