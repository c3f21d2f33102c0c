/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/fs.h"

#define PER_UPLOAD 2	/* descriptors: data and journal */

static struct fs_upload *upload_at(struct ft_link *link)
{
	return FT_CONTAINER(link, struct fs_upload, link);
}

bool fs_cache_evict(struct fs *fs)
{
	struct ft_link *oldest = ft_list_first(&fs->used);

	if (!oldest || oldest == fs->used.head.prev)
		return false;
	fs_cache_drop(fs, upload_at(oldest));
	return true;
}

void fs_cache_drop(struct fs *fs, struct fs_upload *up)
{
	if (up->data_fd < 0)
		return;
	ft_sys_close(up->data_fd);
	ft_sys_close(up->journal_fd);
	up->data_fd = up->journal_fd = -1;
	ft_link_remove(&up->link);
	fs->open -= PER_UPLOAD;
}

void fs_cache_add(struct fs *fs, struct fs_upload *up, int data_fd, int journal_fd)
{
	while (fs->open + PER_UPLOAD > fs->max_open && fs_cache_evict(fs))
		;
	up->data_fd = data_fd;
	up->journal_fd = journal_fd;
	ft_list_push(&fs->used, &up->link);
	fs->open += PER_UPLOAD;
}

void fs_cache_swap_journal(struct fs_upload *up, int journal_fd)
{
	ft_sys_close(up->journal_fd);
	up->journal_fd = journal_fd;
}

static enum ft_status open_again(struct fs *fs, struct fs_upload *up)
{
	struct fs_names names;
	int dir, data = -1, journal = -1;
	enum ft_status st = FT_OK;

	fs_names_of_upload(&names, up);
	dir = fs_open_pair(fs, fs->incoming, &names);
	if (dir >= 0)
		data = fs_open_at(fs, dir, FS_DATA, O_RDWR);
	if (data >= 0)
		journal = fs_open_at(fs, dir, FS_JOURNAL, O_RDWR);
	if (journal < 0) {
		/* Published a moment ago, which the broker's thread has not heard of yet. */
		st = errno == ENOENT ? FT_NO_SUCH_TRANSFER : fs_failed(fs, "open incoming", &names);
		ft_sys_close(data);
	} else {
		fs_cache_add(fs, up, data, journal);
	}
	ft_sys_close(dir);
	return st;
}

enum ft_status fs_cache_use(struct fs *fs, struct fs_upload *up)
{
	enum ft_status st;

	if (up->data_fd < 0) {
		st = open_again(fs, up);
		return st == FT_OK && up->unseen ? fs_look_again(fs, up) : st;
	}
	ft_link_remove(&up->link);
	ft_list_push(&fs->used, &up->link);
	return FT_OK;
}

int fs_cache_dup(struct fs *fs, struct fs_upload *up)
{
	int fd = ft_sys_dup(up->data_fd);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && fs_cache_evict(fs))
		fd = ft_sys_dup(up->data_fd);
	return fd;
}
