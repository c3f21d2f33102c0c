/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "sqlite_vfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct vfs_file {
	sqlite3_file base;
	const char *path;	/* SQLite's, which lasts as long; "" for files without a name */
	sqlite3_file *real;	/* lies behind this */
};

static sqlite3_vfs layer;
static sqlite3_vfs *real_vfs;
static sqlite3_mem_methods real_memory;
static sqlite_vfs_watcher *watcher_now;
static void *watcher_context;

static const int errors[] = {
	[SQLITE_CALL_OPEN] = SQLITE_CANTOPEN,
	[SQLITE_CALL_DELETE] = SQLITE_IOERR_DELETE,
	[SQLITE_CALL_ACCESS] = SQLITE_IOERR_ACCESS,
	[SQLITE_CALL_FULL_PATHNAME] = SQLITE_CANTOPEN,
	[SQLITE_CALL_READ] = SQLITE_IOERR_READ,
	[SQLITE_CALL_WRITE] = SQLITE_IOERR_WRITE,
	[SQLITE_CALL_TRUNCATE] = SQLITE_IOERR_TRUNCATE,
	[SQLITE_CALL_SYNC] = SQLITE_IOERR_FSYNC,
	[SQLITE_CALL_FILE_SIZE] = SQLITE_IOERR_FSTAT,
	[SQLITE_CALL_LOCK] = SQLITE_IOERR_LOCK,
	[SQLITE_CALL_SHM_MAP] = SQLITE_IOERR_SHMMAP,
	[SQLITE_CALL_SHM_LOCK] = SQLITE_IOERR_SHMLOCK,
	[SQLITE_CALL_MALLOC] = SQLITE_NOMEM,
};

int sqlite_vfs_error(enum sqlite_call call)
{
	return errors[call];
}

void sqlite_vfs_watch(sqlite_vfs_watcher *watcher, void *context)
{
	watcher_now = watcher;
	watcher_context = context;
}

static int vfs_ask(const struct sqlite_vfs_call *call)
{
	return watcher_now ? watcher_now(watcher_context, call) : SQLITE_OK;
}

static int vfs_ask_path(enum sqlite_call call, const char *path)
{
	return vfs_ask(&(struct sqlite_vfs_call){ .call = call, .path = path ? path : "" });
}

/* --- files --- */

static struct vfs_file *file_of(sqlite3_file *file)
{
	return (struct vfs_file *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return file_of(file)->real;
}

static int file_ask(sqlite3_file *file, enum sqlite_call call)
{
	return vfs_ask_path(call, file_of(file)->path);
}

static int file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
	int rc = file_ask(file, SQLITE_CALL_READ);

	return rc ? rc : real_of(file)->pMethods->xRead(real_of(file), bytes, len, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
	int rc = vfs_ask(&(struct sqlite_vfs_call){ SQLITE_CALL_WRITE, file_of(file)->path, bytes,
						    (size_t)len, (uint64_t)offset });

	return rc ? rc : real_of(file)->pMethods->xWrite(real_of(file), bytes, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = vfs_ask(&(struct sqlite_vfs_call){ .call = SQLITE_CALL_TRUNCATE,
						    .path = file_of(file)->path,
						    .offset = (uint64_t)size });

	return rc ? rc : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	int rc = file_ask(file, SQLITE_CALL_SYNC);

	return rc ? rc : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	int rc = file_ask(file, SQLITE_CALL_FILE_SIZE);

	return rc ? rc : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
	int rc = file_ask(file, SQLITE_CALL_LOCK);

	return rc ? rc : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_is_reserved(sqlite3_file *file, int *reserved)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int file_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at)
{
	int rc = file_ask(file, SQLITE_CALL_SHM_MAP);

	return rc ? rc : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, at);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	int rc = flags & SQLITE_SHM_UNLOCK ? SQLITE_OK : file_ask(file, SQLITE_CALL_SHM_LOCK);

	return rc ? rc : real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_is_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

/* --- the system --- */

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
	struct vfs_file *mine = file_of(file);
	int rc = vfs_ask_path(SQLITE_CALL_OPEN, path);

	(void)vfs;
	memset(mine, 0, sizeof *mine);
	if (rc)
		return rc;
	mine->path = path ? path : "";
	mine->real = (sqlite3_file *)(mine + 1);
	rc = real_vfs->xOpen(real_vfs, path, mine->real, flags, out);
	/* Whoever has methods will be closed. */
	if (mine->real->pMethods)
		mine->base.pMethods = &methods;
	return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
	int rc = vfs_ask_path(SQLITE_CALL_DELETE, path);

	(void)vfs;
	return rc ? rc : real_vfs->xDelete(real_vfs, path, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result)
{
	int rc = vfs_ask_path(SQLITE_CALL_ACCESS, path);

	(void)vfs;
	return rc ? rc : real_vfs->xAccess(real_vfs, path, flags, result);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int room, char *out)
{
	int rc = vfs_ask_path(SQLITE_CALL_FULL_PATHNAME, path);

	(void)vfs;
	return rc ? rc : real_vfs->xFullPathname(real_vfs, path, room, out);
}

static void *memory_new(int len)
{
	return vfs_ask_path(SQLITE_CALL_MALLOC, "") ? NULL : real_memory.xMalloc(len);
}

static void *memory_resize(void *memory, int len)
{
	return vfs_ask_path(SQLITE_CALL_MALLOC, "") ? NULL : real_memory.xRealloc(memory, len);
}

void sqlite_vfs_install(void)
{
	sqlite3_mem_methods memory;

	/* An exception must not be hidden by a cache of memory: each piece is asked for. */
	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK
	    || sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
		abort();
	memory = real_memory;
	memory.xMalloc = memory_new;
	memory.xRealloc = memory_resize;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK
	    || sqlite3_initialize() != SQLITE_OK)
		abort();
	real_vfs = sqlite3_vfs_find(NULL);
	layer = *real_vfs;
	layer.zName = "watched";
	layer.szOsFile = (int)sizeof(struct vfs_file) + real_vfs->szOsFile;
	layer.xOpen = vfs_open;
	layer.xDelete = vfs_delete;
	layer.xAccess = vfs_access;
	layer.xFullPathname = vfs_full_pathname;
	if (sqlite3_vfs_register(&layer, 1) != SQLITE_OK)
		abort();
}
