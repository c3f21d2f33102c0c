/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Whether what was written without fsync may be gone: a text that is another one when the
 * machine has booted or the storage was mounted anew.
 *
 *	boot=<uuid> fsid=<hex> dev=<major:minor> disk=<inode> super=<inode> ns=<inode> mnt=<number>
 *
 * What cannot be found out is left out. Kept on disk beside what it vouches for, and
 * compared at the next start:
 *
 *	boot, fsid	another one: another boot, another file system.
 *	dev		the same, but where both have major number 0: such numbers are made up
 *			by the kernel at each mount (overlay, btrfs, NFS) and say nothing.
 *	disk, super	the kernel's objects of the disk and of the mounted file system (ext4, xfs,
 *			f2fs); another one: it went away and came back. Whatever namespaces do.
 *	mnt		counts where super is not known, and where ns, the mount namespace, is
 *			the same one: a remount. A
 *			service with mounts of its own gets a new namespace, and new numbers
 *			in it, each time it is started; that is no power cut.
 *
 * Threads: any.
 */
#ifndef FT_BASE_IDENTITY_H
#define FT_BASE_IDENTITY_H

#define FT_IDENTITY_ROOM 256

enum ft_identity_change {
	FT_IDENTITY_SAME,
	FT_IDENTITY_OTHER,	/* what was not synced may be gone */
	FT_IDENTITY_UNKNOWN,	/* the boot id of one of them could not be read */
};

/* The identity of now, for what lies in an open directory. */
void ft_identity(int dir_fd, char text[FT_IDENTITY_ROOM]);

enum ft_identity_change ft_identity_compare(const char *before, const char *now);

#endif
