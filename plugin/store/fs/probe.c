/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the file system can do, found out by trying it, since names of file systems say
 * little: a mount option, a flag of a directory or what lies behind FUSE decides.
 *
 * Tried in incoming/ and in files/, each of which might be a directory with a flag of its
 * own (ext4 and f2fs: chattr +F), with directories that are gone a moment later.
 */
#include "store/fs/fs.h"

#define PROBE_NAME_MIN 128	/* shorter than that no hashed id and its suffix fit */
#define PROBE_HOLE ((uint64_t)1024 * 1024)
#define PROBE_REFUSED "*?\"<>|"	/* what Windows' file systems do not take, beside / \ and : */

/* Two names each that are different here, and on some file systems the same. */
static const struct {
	const char *name;
	const char *same;
	const char *what;
} probe_pairs[] = {
	{ ".ft-probe-a", ".ft-probe-A", "in upper and lower case" },
	{ ".ft-probe-\xc3\xa4", ".ft-probe-\xc3\x84", "in upper and lower case" },
	{ ".ft-probe-\xc3\xbc", ".ft-probe-u\xcc\x88", "in Unicode's composed and decomposed form" },
	{ ".ft-probe-x", ".ft-probe-x.", "with and without a dot at the end" },
};

static enum ft_status probe_refuse(struct fs *fs, const char *dir, const char *top,
				   const char *what, const char *remedy)
{
	ft_logger_printf(fs->logger, FT_LOG_ERROR, "storage_dir %s: %s in %s: %s", dir, what, top,
			 remedy);
	return FT_IO_ERROR;
}

static void probe_remove(int dir, const char *name)
{
	(void)ft_sys_unlinkat(dir, name, AT_REMOVEDIR);
}

/* Whether a directory of such a name can be made; it stays. */
static bool probe_make(int dir, const char *name)
{
	return ft_sys_mkdirat(dir, name, FS_DIR_MODE) == 0 || errno == EEXIST;
}

static enum ft_status probe_pair(struct fs *fs, int dir, size_t i, const char *path,
				 const char *top)
{
	enum ft_status st = FT_OK;
	struct stat info;
	char what[128];
	struct ft_buf text = ft_buf_on(what, sizeof what);

	probe_remove(dir, probe_pairs[i].name);
	probe_remove(dir, probe_pairs[i].same);
	if (!probe_make(dir, probe_pairs[i].name)) {
		if (errno == EINVAL || errno == EILSEQ)
			return probe_refuse(fs, path, top, "names in UTF-8 cannot be made",
					    "mount it with utf8, or use another file system");
		return fs_failed(fs, "make a directory in", top);
	}
	if (ft_sys_fstatat(dir, probe_pairs[i].same, &info, AT_SYMLINK_NOFOLLOW) == 0) {
		ft_buf_printf(&text, "the same name %s is one file", probe_pairs[i].what);
		st = probe_refuse(fs, path, top, what,
				  "clients would get each other's files; use a file system that "
				  "tells them apart");
	}
	probe_remove(dir, probe_pairs[i].name);
	return st;
}

/* How long a name may be. What pathconf says is not true for each file system. */
static size_t probe_name_max(int dir)
{
	long said = fpathconf(dir, _PC_NAME_MAX);
	size_t len = said > 0 && said < FT_NAME_ROOM ? (size_t)said : FT_NAME_ROOM - 1;
	char name[FT_NAME_ROOM];

	memset(name, 'x', sizeof name);
	name[0] = '.';
	for (; len >= PROBE_NAME_MIN; len--) {
		name[len] = '\0';
		if (probe_make(dir, name) || errno != ENAMETOOLONG)
			break;
		name[len] = 'x';
	}
	probe_remove(dir, name);
	return len;
}

/* Whether a byte far out leaves a hole before it, or zeros. */
static enum ft_status probe_holes(struct fs *fs)
{
	char path[FS_PATH_ROOM];
	enum ft_status st = FT_OK;
	struct stat info;
	int fd;

	(void)fs_temporary_path(fs, path);
	fd = ft_sys_openat(fs->root, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
	if (fd < 0)
		return fs_failed(fs, "make a file in", FS_TMP);
	if (!ft_sys_write_all(fd, "x", 1, PROBE_HOLE) || ft_sys_fstat(fd, &info) != 0)
		st = fs_failed(fs, "write to a file in", FS_TMP);
	else
		fs->holes = (uint64_t)info.st_blocks * 512 > PROBE_HOLE / 2 ? FS_NO_HOLES : FS_HOLES;
	ft_sys_close(fd);
	(void)ft_sys_unlinkat(fs->root, path, 0);
	return st;
}

static enum ft_status probe_top(struct fs *fs, const char *path, const char *top)
{
	enum ft_status st;
	size_t name_max;
	int dir;

	if (fs_dir_open(fs->root, top, &dir) != FT_OK)
		return fs_failed(fs, "open", top);
	st = FT_OK;
	for (size_t i = 0; i < sizeof probe_pairs / sizeof *probe_pairs && st == FT_OK; i++)
		st = probe_pair(fs, dir, i, path, top);
	if (st == FT_OK) {
		name_max = probe_name_max(dir);
		if (name_max < fs->name_max)
			fs->name_max = name_max;
		if (fs->name_max < PROBE_NAME_MIN)
			st = probe_refuse(fs, path, top, "names are too short",
					  "use another file system");
		if (!probe_make(dir, ".ft-probe-" PROBE_REFUSED) && errno != ENOSPC)
			fs->refused = PROBE_REFUSED;
		probe_remove(dir, ".ft-probe-" PROBE_REFUSED);
	}
	ft_sys_close(dir);
	return st;
}

enum ft_status fs_probe(struct fs *fs, const char *dir)
{
	enum ft_status st;

	fs->name_max = FT_NAME_ROOM - 1;
	fs->refused = "";
	if ((st = probe_top(fs, dir, FS_INCOMING)) != FT_OK
	    || (st = probe_top(fs, dir, FS_FILES)) != FT_OK)
		return st;
	return probe_holes(fs);
}
