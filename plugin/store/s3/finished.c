/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Finished files in the bucket. Whether one is there is asked by a list of what its key begins
 * with, not by HEAD: that has no body, so a bucket that is gone would look like files that
 * consumers have taken.
 */
#ifdef FT_S3
#include "store/s3/s3.h"

#include <assert.h>

#include "base/sys.h"

#define FINISHED_MANIFEST_MAX ((size_t)1024 * 1024)

/* --- lists --- */

struct finished_listing {
	s3_listed *visit;
	void *context;
	bool ended;			/* by the visitor */
	char next[S3_XML_TEXT_ROOM];	/* where the next page begins; "": there is none */
};

static bool finished_see(void *context, const char *object, uint64_t size)
{
	struct finished_listing *l = context;

	l->ended = !l->visit(l->context, object, size);
	return !l->ended;
}

static enum ft_status finished_list_page(struct s3 *s3, const char *prefix, enum s3_patience patience,
					 struct finished_listing *l)
{
	char room[3 * (S3_KEY_ROOM + S3_XML_TEXT_ROOM) + 128];
	struct ft_buf query = ft_buf_on(room, sizeof room);
	struct s3_request r = { .method = "GET", .object = "", .query = room, .patience = patience };
	enum ft_status st;

	if (l->next[0]) {
		ft_buf_str(&query, "continuation-token=");
		s3_address_encode(&query, l->next);
		ft_buf_char(&query, '&');
	}
	ft_buf_str(&query, "encoding-type=url&list-type=2&prefix=");
	s3_address_encode(&query, prefix);
	st = s3_request(s3, &r);
	if (st == FT_OK) {
		st = s3_answer_list(r.text ? r.text : "", r.len, finished_see, l, l->next);
		if (st == FT_CANCELLED)
			st = FT_OK;
		else if (st == FT_IO_ERROR)
			s3_weather_bad(s3, S3_REFUSED, "a list is no XML that is understood");
		if (st == FT_IO_ERROR)
			st = FT_BUSY;
	} else if (st == FT_REJECTED || st == FT_NO_SUCH_TRANSFER) {
		char detail[300];

		snprintf(detail, sizeof detail, "a list was answered with %ld %s %.150s", r.status, r.code,
			 r.message);
		s3_weather_bad(s3, st == FT_REJECTED ? S3_REFUSED : S3_NO_BUCKET, detail);
		st = FT_BUSY;
	}
	s3_request_release(&r);
	return st;
}

enum ft_status s3_list(struct s3 *s3, const char *prefix, enum s3_patience patience, s3_listed *visit,
		       void *context)
{
	struct finished_listing *l = calloc(1, sizeof *l);
	enum ft_status st;

	if (!l)
		return FT_NO_MEMORY;
	l->visit = visit;
	l->context = context;
	do
		st = finished_list_page(s3, prefix, patience, l);
	while (st == FT_OK && l->next[0] && !l->ended);
	free(l);
	return st;
}

/* --- find and read --- */

struct finished_search {
	const char *object;
	char manifest[S3_KEY_ROOM];
	bool found;
};

static bool finished_is_it(void *context, const char *object, uint64_t size)
{
	struct finished_search *search = context;

	(void)size;
	search->found = strcmp(object, search->object) == 0 || strcmp(object, search->manifest) == 0;
	return !search->found;
}

static void finished_key(struct s3 *s3, const struct ft_key *key, const char *name,
			 char object[S3_KEY_ROOM])
{
	assert(name[0] != '\0' && !strchr(name, '/'));
	s3_address_key(&s3->address, key, name, object);
}

void s3_manifest_key(char manifest[S3_KEY_ROOM], const char *object)
{
	struct ft_buf to = ft_buf_on(manifest, S3_KEY_ROOM);

	ft_buf_str(&to, object);
	ft_buf_str(&to, S3_MANIFEST_SUFFIX);
	assert(ft_buf_ok(&to));
}

enum ft_status s3_find(struct ft_store *store, const struct ft_key *key, const char *name)
{
	struct s3 *s3 = s3_of(store);
	char object[S3_KEY_ROOM];
	struct finished_search search = { .object = object };
	enum ft_status st;

	finished_key(s3, key, name, object);
	s3_manifest_key(search.manifest, object);
	if (!s3_weather_may_read(s3))
		return FT_BUSY;
	st = s3_list(s3, object, S3_ONCE, finished_is_it, &search);
	return st != FT_OK ? st : search.found ? FT_OK : FT_NO_SUCH_TRANSFER;
}

enum ft_status s3_read_finished(struct ft_store *store, const struct ft_key *key, const char *name,
				uint64_t offset, void *buffer, size_t len)
{
	struct s3 *s3 = s3_of(store);
	char object[S3_KEY_ROOM], range[80];
	struct s3_request r = {
		.method = "GET", .object = object, .headers = { range }, .patience = S3_ONCE,
		.to = buffer, .room = len,
	};
	enum ft_status st;

	finished_key(s3, key, name, object);
	if (!s3_weather_may_read(s3))
		return FT_BUSY;
	snprintf(range, sizeof range, "Range: bytes=%llu-%llu", (unsigned long long)offset,
		 (unsigned long long)(offset + len - 1));
	st = s3_request(s3, &r);
	if (st == FT_REJECTED)		/* 416: nothing is there */
		return FT_IO_ERROR;
	return st == FT_OK && r.len != len ? FT_IO_ERROR : st;
}

/* With the keys that count now: where they are temporary, the URL ends with them, too. */
enum ft_status s3_url(struct ft_store *store, const struct ft_key *key, const char *name, int64_t now_s,
		      uint32_t ttl_s, char *url)
{
	struct s3 *s3 = s3_of(store);
	struct s3_credentials credentials;
	const struct s3_signing signing = { s3->region, &credentials, now_s, ttl_s };
	struct ft_buf to = ft_buf_on(url, FT_STORE_URL_ROOM);
	char object[S3_KEY_ROOM], room[512];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	bool good = false;

	finished_key(s3, key, name, object);
	if (!s3_keyring_get(&s3->keyring, &credentials, &why))
		ft_logger_printf(s3->logger, FT_LOG_ERROR, "a URL cannot be signed: %s", room);
	else
		good = s3_sign_url(&s3->address, object, &signing, &to);
	explicit_bzero(&credentials, sizeof credentials);
	return good ? FT_OK : FT_IO_ERROR;
}

enum ft_status s3_read_manifest(struct s3 *s3, const char *object, char **text, size_t *len)
{
	struct s3_request r = { .method = "GET", .object = object, .patience = S3_PATIENT };
	enum ft_status st = s3_request(s3, &r);

	*text = NULL;
	*len = 0;
	if (st == FT_OK && (r.len == 0 || r.len > FINISHED_MANIFEST_MAX))
		st = FT_DAMAGED;
	if (st == FT_OK) {
		*text = r.text;
		*len = r.len;
		return FT_OK;
	}
	s3_request_release(&r);
	return st == FT_REJECTED ? FT_DAMAGED : st;
}

/* --- remove --- */

struct finished_removing {
	struct s3_task task;
	struct s3 *s3;
	struct ft_removal *what;
	size_t *left;			/* guarded by the store's lock */
};

enum ft_status s3_delete(struct s3 *s3, const char *object)
{
	struct s3_request r = { .method = "DELETE", .object = object, .patience = S3_PATIENT };
	enum ft_status st = s3_request(s3, &r);

	if (st == FT_REJECTED)
		ft_logger_printf(s3->logger, FT_LOG_ERROR, "%s refuses to delete %.300s: %ld %s %s",
				 s3->address.root, object, r.status, r.code, r.message);
	s3_request_release(&r);
	if (st == FT_NO_SUCH_TRANSFER)
		return FT_OK;
	return st == FT_REJECTED || st == FT_ALREADY_COMPLETE ? FT_IO_ERROR : st;
}

/* The file first: what is there without its manifest is nobody's. */
static void finished_remove(struct s3_task *task)
{
	struct finished_removing *removing = FT_CONTAINER(task, struct finished_removing, task);
	struct s3 *s3 = removing->s3;
	struct ft_removal *what = removing->what;
	char object[S3_KEY_ROOM], manifest[S3_KEY_ROOM];

	finished_key(s3, &what->key, what->name, object);
	s3_manifest_key(manifest, object);
	what->status = s3_weather_may_read(s3) ? s3_delete(s3, object) : FT_BUSY;
	if (what->status == FT_OK)
		what->status = s3_delete(s3, manifest);
	pthread_mutex_lock(&s3->lock);
	--*removing->left;
	pthread_cond_broadcast(&s3->changed);
	pthread_mutex_unlock(&s3->lock);
}

void s3_remove_finished(struct ft_store *store, struct ft_removal *removals, size_t count)
{
	struct s3 *s3 = s3_of(store);
	struct finished_removing *all = calloc(count, sizeof *all);
	size_t left = count;

	for (size_t i = 0; i < count; i++) {
		removals[i].status = FT_NO_MEMORY;
		if (!all)
			continue;
		all[i] = (struct finished_removing){
			.task.run = finished_remove, .s3 = s3, .what = &removals[i], .left = &left,
		};
		if (count == 1)
			finished_remove(&all[i].task);
		else
			s3_pool_add(s3, &all[i].task);
	}
	pthread_mutex_lock(&s3->lock);
	while (all && left > 0)
		pthread_cond_wait(&s3->changed, &s3->lock);
	pthread_mutex_unlock(&s3->lock);
	free(all);
	for (size_t i = 0; s3->settings->keep_local && i < count; i++)
		if (removals[i].status == FT_OK)
			ft_store_fs.remove_finished(s3->local, &removals[i], 1);
}

/* --- list --- */

/* A manifest, and whether the file that belongs to it was listed just before it. */
struct finished_walk {
	struct s3 *s3;
	ft_store_visit *visit;
	void *context;
	struct finished_object {
		char *object;		/* owned */
		uint64_t size;
		bool has_manifest;
	} *files;			/* owned: of the key that is being listed */
	size_t count, room;
	bool ended;			/* by the visitor */
	enum ft_status status;
};

static bool finished_is_manifest(const char *object, size_t *file_len)
{
	size_t len = strlen(object), suffix = strlen(S3_MANIFEST_SUFFIX);

	*file_len = len - suffix;
	return len > suffix && strcmp(object + *file_len, S3_MANIFEST_SUFFIX) == 0;
}

/* Lists are in the order of keys, so the file, whose key its manifest's begins with, has come before. */
static uint64_t finished_size_of(struct finished_walk *walk, const char *manifest, size_t file_len)
{
	for (size_t i = walk->count; i > 0; i--) {
		struct finished_object *file = &walk->files[i - 1];

		if (strlen(file->object) != file_len || memcmp(file->object, manifest, file_len) != 0)
			continue;
		file->has_manifest = true;
		return file->size;
	}
	return FT_STORE_TAKEN;
}

static void finished_forget(struct finished_walk *walk)
{
	while (walk->count > 0)
		free(walk->files[--walk->count].object);
}

/* Those beside which there was no manifest. */
static bool finished_tell_lone(struct finished_walk *walk)
{
	char owner[FT_NAME_ROOM], file[FT_NAME_ROOM], name[FT_NAME_ROOM];
	bool go_on = true;

	for (size_t i = 0; go_on && i < walk->count; i++) {
		const struct finished_object *lone = &walk->files[i];
		const struct ft_store_found found = {
			.place = lone->object, .owner_name = owner, .file_name = file, .name = name,
			.size = lone->size,
		};

		if (!lone->has_manifest
		    && s3_address_read(&walk->s3->address, lone->object, owner, file, name))
			go_on = walk->visit(walk->context, &found);
	}
	finished_forget(walk);
	return go_on;
}

static bool finished_note(struct finished_walk *walk, const char *object, uint64_t size)
{
	if (walk->count == walk->room) {
		size_t room = walk->room ? 2 * walk->room : 16;
		struct finished_object *files = realloc(walk->files, room * sizeof *files);

		if (!files)
			return false;
		walk->files = files;
		walk->room = room;
	}
	if (!(walk->files[walk->count].object = strdup(object)))
		return false;
	walk->files[walk->count].has_manifest = false;
	walk->files[walk->count++].size = size;
	return true;
}

static bool finished_tell(struct finished_walk *walk, const char *object, size_t file_len)
{
	char file_object[S3_KEY_ROOM], owner[FT_NAME_ROOM], file[FT_NAME_ROOM], name[FT_NAME_ROOM];
	struct ft_store_found found = {
		.place = file_object, .owner_name = owner, .file_name = file, .name = name,
		.size = finished_size_of(walk, object, file_len),
	};
	enum ft_status st;
	bool go_on;
	char *text;

	memcpy(file_object, object, file_len);
	file_object[file_len] = '\0';
	if (!s3_address_read(&walk->s3->address, file_object, owner, file, name))
		return true;
	st = s3_read_manifest(walk->s3, object, &text, &found.manifest_len);
	if (st == FT_NO_SUCH_TRANSFER || st == FT_DAMAGED)
		return true;
	if (st != FT_OK) {
		walk->status = st;
		return false;
	}
	found.manifest = text;
	go_on = walk->visit(walk->context, &found);
	walk->ended = !go_on;
	free(text);
	return go_on;
}

static bool finished_walk_on(void *context, const char *object, uint64_t size)
{
	struct finished_walk *walk = context;
	size_t file_len;

	if (strlen(object) >= S3_KEY_ROOM)
		return true;
	if (finished_is_manifest(object, &file_len))
		return finished_tell(walk, object, file_len);
	/* Those of other folders are not looked for any more. */
	if (walk->count > 0) {
		const char *last = walk->files[walk->count - 1].object, *slash = strrchr(last, '/');

		if ((!slash || strncmp(object, last, (size_t)(slash - last) + 1) != 0)
		    && !finished_tell_lone(walk)) {
			walk->ended = true;
			return false;
		}
	}
	if (finished_note(walk, object, size))
		return true;
	walk->status = FT_NO_MEMORY;
	return false;
}

enum ft_status s3_list_finished(struct ft_store *store, ft_store_visit *visit, void *context)
{
	struct s3 *s3 = s3_of(store);
	struct finished_walk walk = { .s3 = s3, .visit = visit, .context = context };
	char prefix[2 * S3_PREFIX_MAX + 2];
	enum ft_status st;

	snprintf(prefix, sizeof prefix, "%s%s", s3->address.prefix, s3->address.before);
	st = s3_list(s3, prefix, S3_ONCE, finished_walk_on, &walk);	/* the broker waits to start */
	if (st == FT_OK)
		st = walk.status;
	if (st == FT_OK && !walk.ended)
		(void)finished_tell_lone(&walk);
	finished_forget(&walk);
	free(walk.files);
	if (st != FT_OK)
		atomic_store(&s3->unlisted, true);
	return st;
}
#else
typedef int s3_finished_is_not_built_in;
#endif
