/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/downloads/scanner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/beneath.h"
#include "base/sys.h"
#include "base/system.h"
#include "base/utf8.h"
#include "catalog/offers.h"
#include "engine/downloads/scan_walk.h"
#include "protocol/aws_topic.h"

#define SCANNER_BLOCK ((size_t)256 * 1024)
#define SCANNER_HASH_MS 2000		/* of hashing, then what is hashed is offered */
#define SCANNER_COMPLAINTS_MAX 10000
#define SCANNER_LOG_MAX 200		/* bytes of a name in a log line */
#define SCANNER_NANO ((int64_t)1000000000)

struct ft_scan *ft_scan_new(void)
{
	struct ft_scan *scan = calloc(1, sizeof *scan);

	if (!scan)
		return NULL;
	scan->job.kind = FT_JOB_SCAN;
	ft_link_init(&scan->job.link);
	ft_finished_set_init(&scan->complaints);
	return scan;
}

static void scan_drop_news(struct ft_scan *scan)
{
	for (size_t i = 0; i < scan->news_count; i++) {
		free(scan->news[i].topic);
		free(scan->news[i].payload);
	}
	scan->news_count = 0;
}

void ft_scan_release(struct ft_scan *scan)
{
	scan_drop_news(scan);
	ft_offers_free(&scan->offers);
	ft_offers_free(&scan->former);
	ft_offers_free(&scan->gone);
	ft_job_index_drop(&scan->jobs);
	ft_finished_set_release(&scan->complaints);
	free(scan->groups_text);
}

/* --- files --- */

int ft_scan_open_root(const struct ft_core *core, const char *top)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", core->options->storage_dir, top);
	return ft_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

struct ft_offer_stat ft_scan_stat_of(const struct stat *st)
{
	return (struct ft_offer_stat){
		.inode = st->st_ino, .size = (uint64_t)st->st_size,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * SCANNER_NANO + st->st_mtim.tv_nsec,
		.ctime_ns = (int64_t)st->st_ctim.tv_sec * SCANNER_NANO + st->st_ctim.tv_nsec,
	};
}

bool ft_offer_is_unchanged(const struct ft_offer *offer, int fd)
{
	struct ft_offer_stat now;
	struct stat st;

	if (ft_sys_fstat(fd, &st) != 0)
		return false;
	now = ft_scan_stat_of(&st);
	return S_ISREG(st.st_mode) && ft_offer_stat_equal(&now, &offer->stat);
}

enum ft_status ft_scan_status(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case EXDEV:
		return FT_NO_SUCH_FILE;
	default:
		return ft_sys_status(error);
	}
}

enum ft_status ft_offer_open(const struct ft_core *core, const struct ft_offer *offer, int *fd)
{
	/* A pipe that somebody puts there meanwhile must not wait; reading changes no time. */
	static const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char place[FT_SCAN_PLACE_ROOM];
	enum ft_status st = FT_OK;
	int root = ft_scan_open_root(core, "offers");

	snprintf(place, sizeof place, "%s/%s%s%s", ft_offer_scope_word(offer->scope), offer->whose,
		 *offer->whose ? "/" : "", offer->path);
	*fd = root < 0 ? -1 : ft_open_beneath(root, place, flags | O_NOATIME);
	if (*fd < 0 && errno == EPERM)	/* of another user */
		*fd = ft_open_beneath(root, place, flags);
	if (*fd < 0)
		st = ft_scan_status(errno);
	else if (!ft_offer_is_unchanged(offer, *fd))
		st = FT_BUSY;
	ft_sys_close(root);
	if (st != FT_OK) {
		ft_sys_close(*fd);
		*fd = -1;
	}
	return st;
}

/* --- complaints --- */

static uint64_t scan_hash(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

/* One line for each place and reason. `how` stands between them. */
static void scan_say(struct ft_core *core, struct ft_scan *scan, const char *top,
		     const char *place, const char *how, const char *why)
{
	uint64_t hash = scan_hash(scan_hash(scan_hash(0xcbf29ce484222325u, top), place), why);
	char room[4 * SCANNER_LOG_MAX + 8];
	struct ft_buf shown = ft_buf_on(room, sizeof room);

	if (ft_finished_set_has(&scan->complaints, hash)
	    || scan->complaints.count >= SCANNER_COMPLAINTS_MAX
	    || ft_finished_set_add(&scan->complaints, hash) != FT_OK)
		return;
	ft_buf_printable(&shown, place, strlen(place), SCANNER_LOG_MAX);
	ft_logger_printf(core->logger, FT_LOG_WARNING, "%s/%s %s: %s%s", top, room, how, why,
			 scan->complaints.count == SCANNER_COMPLAINTS_MAX
			 ? "; of others nothing more is said" : "");
}

static void scan_complain(struct ft_core *core, struct ft_scan *scan, const char *place,
			  const char *why)
{
	scan_say(core, scan, "offers", place, "is not offered", why);
}

void ft_scan_complain(struct ft_scan_walk *walk, const char *why)
{
	scan_say(walk->core, walk->scan, walk->top, walk->place, "is not offered", why);
}

static void walk_complain_errno(struct ft_scan_walk *walk, int error)
{
	char room[FT_ERROR_ROOM];

	ft_scan_complain(walk, ft_error_text(error, room));
}

/* About what is offered all the same. */
static void walk_warn(struct ft_scan_walk *walk, const char *why)
{
	scan_say(walk->core, walk->scan, walk->top, walk->place, "is offered", why);
}

/* --- looking --- */

/* The whole content, which is at most `max` bytes, with a NUL. False: errno says why. */
bool ft_scan_read_small(int dir, const char *name, char *to, size_t max, size_t *len)
{
	int fd = ft_open_beneath(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t got = fd < 0 ? -1 : ft_sys_read_all(fd, to, max + 1, 0);

	ft_sys_close(fd);
	if (got > (ssize_t)max)
		errno = EFBIG;
	if (got < 0 || got > (ssize_t)max)
		return false;
	to[got] = '\0';
	*len = (size_t)got;
	return true;
}

/* The JSON object in .<name>.json, for as long as `room` is; none where it is bad. */
static struct ft_json_text walk_read_meta(struct ft_scan_walk *walk, int dir, const char *name,
					  char room[FT_OFFER_META_MAX + 2])
{
	struct ft_json_text meta = { .at = NULL };
	char file[FT_NAME_ROOM + 8];
	size_t len;

	snprintf(file, sizeof file, ".%.250s.json", name);
	if (!ft_scan_read_small(dir, file, room, FT_OFFER_META_MAX, &len)) {
		if (errno != ENOENT && errno != ENAMETOOLONG)
			walk_warn(walk, "without meta data, which cannot be read");
		return meta;
	}
	if (strlen(room) != len || !ft_utf8_valid(room, len)
	    || ft_json_find(room, len, NULL, 0) != FT_JSON_OBJECT) {
		walk_warn(walk, "without meta data, which is no JSON object");
		return meta;
	}
	meta.at = room + strspn(room, "\xef\xbb\xbf \t\r\n");
	while (strchr(" \t\r\n", room[len - 1]))
		room[--len] = '\0';
	meta.len = strlen(meta.at);
	return meta;
}

static enum ft_status walk_take_file(struct ft_scan_walk *walk, int dir, const char *name,
				     const struct stat *st)
{
	char room[FT_OFFER_META_MAX + 2];
	struct ft_offer offer = {
		.scope = walk->scope, .whose = walk->whose, .path = walk->place + walk->path_at,
		.stat = ft_scan_stat_of(st),
	};
	enum ft_status status;

	if ((walk->core->options->downloads & FT_DOWNLOADS_AWS) && ft_aws_path_is_cut(offer.path))
		walk_warn(walk, "AWS's library cuts ids of streams to 44 bytes, and will not find it");
	offer.meta = walk_read_meta(walk, dir, name, room);
	status = ft_offers_add(walk->next, &offer);
	if (status != FT_BUSY)
		return status;
	ft_scan_complain(walk, "there are too many files");
	return FT_OK;
}

/* What a link leads to, if that is below offers/. */
static bool walk_follow(struct ft_scan_walk *walk, struct stat *st)
{
	int fd = ft_open_beneath(walk->root, walk->place, O_PATH | O_CLOEXEC);
	int error = errno;
	bool found = fd >= 0 && ft_sys_fstat(fd, st) == 0;

	ft_sys_close(fd);
	if (fd < 0 && error == EXDEV)
		ft_scan_complain(walk, "the link leads out of offers/");
	else if (!found)
		walk_complain_errno(walk, error);
	else if (!S_ISREG(st->st_mode))
		ft_scan_complain(walk, "the link leads to something else than a file");
	return found && S_ISREG(st->st_mode);
}

static enum ft_status walk_folder(struct ft_scan_walk *walk);

static enum ft_status walk_entry(struct ft_scan_walk *walk, int dir, const char *name)
{
	struct stat st;

	if (!ft_offer_path_is_good(walk->place + walk->path_at,
				   strlen(walk->place + walk->path_at))) {
		ft_scan_complain(walk, ft_status_text(FT_INVALID_PATH));
		return FT_OK;
	}
	if (ft_sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? FT_OK : ft_scan_status(errno);
	if (S_ISDIR(st.st_mode))
		return walk_folder(walk);
	if (S_ISLNK(st.st_mode) && !walk_follow(walk, &st))
		return FT_OK;
	if (S_ISREG(st.st_mode))
		return walk_take_file(walk, dir, name, &st);
	ft_scan_complain(walk, "it is neither a file nor a directory");
	return FT_OK;
}

/*
 * A folder that is not there or may not be read has no files; what else goes wrong ends the
 * walk, so that no file counts as gone because of it.
 */
static enum ft_status walk_each(struct ft_scan_walk *walk,
				enum ft_status (*visit)(struct ft_scan_walk *walk, int dir,
							const char *name))
{
	size_t len = strlen(walk->place);
	int fd = ft_open_beneath(walk->root, walk->place,
				 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	enum ft_status st = FT_OK;
	struct dirent *entry;
	int error = errno;

	if (!dir) {
		ft_sys_close(fd);
		if (error == EACCES || error == ENOTDIR || error == ELOOP)
			walk_complain_errno(walk, error);
		else if (error != ENOENT)
			return ft_scan_status(error);
		return FT_OK;
	}
	ft_offer_watch_add(walk->scan->watch, fd);
	while (st == FT_OK && (entry = ft_sys_readdir(dir)) != NULL) {
		if (ft_offer_name_is_hidden(entry->d_name))
			continue;
		if (atomic_load(&walk->core->stopping))
			st = FT_CANCELLED;
		else if (len + strlen(entry->d_name) + 2 > sizeof walk->place)
			ft_scan_complain(walk, "names in it are too long");
		else {
			snprintf(walk->place + len, sizeof walk->place - len, "/%s", entry->d_name);
			st = visit(walk, fd, entry->d_name);
		}
		walk->place[len] = '\0';
	}
	if (st == FT_OK && errno != 0)
		st = ft_scan_status(errno);
	closedir(dir);
	return st;
}

static enum ft_status walk_folder(struct ft_scan_walk *walk)
{
	return walk_each(walk, walk->visit);
}

/* Whether a client id or a user name, or a group, can have this folder. */
static bool scan_is_whose(enum ft_offer_scope scope, const char *name)
{
	static const char hashed[] = "%sha256-";
	struct ft_sha256 digest;
	char id[FT_NAME_ROOM];
	size_t len;

	if (scope == FT_OFFER_GROUP)
		return ft_offer_path_is_good(name, strlen(name));
	return ft_offer_whose_id(id, &len, name)
	       || (strncmp(name, hashed, sizeof hashed - 1) == 0
		   && ft_sha256_parse(&digest, name + sizeof hashed - 1, strlen(name) - sizeof hashed + 1));
}

static enum ft_status walk_whose(struct ft_scan_walk *walk, int dir, const char *name)
{
	(void)dir;
	if (!scan_is_whose(walk->scope, name)) {
		ft_scan_complain(walk, "no id has this name: see docs/downloads.md");
		return FT_OK;
	}
	walk->whose = name;
	walk->path_at = strlen(walk->place) + 1;
	return walk_folder(walk);
}

enum ft_status ft_scan_walk_all(struct ft_scan_walk *walk)
{
	enum ft_status st = FT_OK;

	for (int scope = FT_OFFER_CLIENT; st == FT_OK && scope <= FT_OFFER_ALL; scope++) {
		walk->scope = (enum ft_offer_scope)scope;
		walk->whose = "";
		snprintf(walk->place, sizeof walk->place, "%s", ft_offer_scope_word(walk->scope));
		walk->path_at = strlen(walk->place) + 1;
		st = scope == FT_OFFER_ALL ? walk_folder(walk) : walk_each(walk, walk_whose);
	}
	return st;
}

/* The groups as the file says; where it makes no sense, as they were. */
static enum ft_status walk_groups(struct ft_scan_walk *walk, bool *changed)
{
	struct ft_scan *scan = walk->scan;
	char *text = malloc(FT_GROUPS_TEXT_MAX + 2), room[200];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	enum ft_status st = text ? FT_OK : FT_NO_MEMORY;
	size_t len = 0;

	if (text && !ft_scan_read_small(walk->root, "groups", text, FT_GROUPS_TEXT_MAX, &len)) {
		*text = '\0';
		if (errno != ENOENT)
			ft_buf_str(&why, "it cannot be read, or is larger than 64k");
	}
	if (text && why.len == 0)
		st = ft_groups_parse(&walk->next->groups, text, strlen(text), &why);
	if (why.len > 0) {
		scan_complain(walk->core, scan, "groups", room);
		free(text);
		return ft_groups_parse(&walk->next->groups, scan->groups_text ? scan->groups_text : "",
				       scan->groups_text ? strlen(scan->groups_text) : 0, &why);
	}
	if (st == FT_OK && (!scan->groups_text || strcmp(scan->groups_text, text) != 0)) {
		*changed = true;
		free(scan->groups_text);
		scan->groups_text = text;
		scan->groups_number++;
		return FT_OK;
	}
	free(text);
	return st;
}

/* --- hashing --- */

static enum ft_status scan_hash_file(struct ft_core *core, struct ft_offer *offer, uint8_t *block)
{
	struct ft_hasher *hasher = ft_hasher_new();
	enum ft_status st = hasher ? FT_OK : FT_NO_MEMORY;
	int fd = -1;

	if (st == FT_OK)
		st = ft_offer_open(core, offer, &fd);
	for (uint64_t at = 0; st == FT_OK && at < offer->stat.size;) {
		ssize_t got = ft_sys_read_all(fd, block, SCANNER_BLOCK, at);

		if (got <= 0)
			st = got < 0 ? FT_IO_ERROR : FT_BUSY;
		else if (atomic_load(&core->stopping))
			st = FT_CANCELLED;
		else if (!ft_hasher_update(hasher, block, (size_t)got))
			st = FT_INTERNAL_ERROR;
		at += got > 0 ? (uint64_t)got : 0;
	}
	if (st == FT_OK && !ft_offer_is_unchanged(offer, fd))
		st = FT_BUSY;
	if (st == FT_OK && !ft_hasher_digest(hasher, &offer->sha256))
		st = FT_INTERNAL_ERROR;
	ft_sys_close(fd);
	ft_hasher_free(hasher);
	return st;
}

/* Whether it was seen like this before, and nobody has written to it for a moment. */
static bool scan_rests(const struct ft_offer *offer, const struct ft_offer *known)
{
	int64_t age_ms = ft_clock_unix_ms() - offer->stat.mtime_ns / 1000000;

	return known && ft_offer_stat_equal(&offer->stat, &known->stat)
	       && (age_ms < 0 || age_ms >= FT_SCAN_REST_MS);
}

static int scan_compare_size(const void *a, const void *b)
{
	const struct ft_offer *const *left = a, *const *right = b;
	uint64_t x = (*left)->stat.size, y = (*right)->stat.size;

	return (x > y) - (x < y);
}

/* Hashes what rests, small files first, for a time. */
static enum ft_status scan_hash_some(struct ft_scan_walk *walk, struct ft_offer **some, size_t count)
{
	int64_t until_ms = ft_clock_ms() + SCANNER_HASH_MS;
	uint8_t *block = count > 0 ? ft_core_alloc(SCANNER_BLOCK) : NULL;
	enum ft_status st = FT_OK;

	if (count > 0)
		qsort(some, count, sizeof *some, scan_compare_size);
	for (size_t i = 0; st == FT_OK && i < count; i++) {
		struct ft_offer *offer = some[i];

		if (ft_clock_ms() >= until_ms) {
			walk->scan->again_ms = 0;
			break;
		}
		st = scan_hash_file(walk->core, offer, block);
		offer->hashed = st == FT_OK;
		if (st == FT_OK)
			offer->number = ++walk->scan->last_number;
		if (st == FT_IO_ERROR) {
			snprintf(walk->place, sizeof walk->place, "%s/%s%s%s",
				 ft_offer_scope_word(offer->scope), offer->whose,
				 *offer->whose ? "/" : "", offer->path);
			ft_scan_complain(walk, "it cannot be read");
		}
		if (st == FT_BUSY || st == FT_NO_SUCH_FILE || st == FT_IO_ERROR)
			st = FT_OK;	/* the next look will tell */
	}
	free(block);
	return st;
}

/* --- what has changed --- */

static bool scan_same_meta(const struct ft_offer *a, const struct ft_offer *b)
{
	return a->meta.len == b->meta.len && memcmp(a->meta.at, b->meta.at, a->meta.len) == 0;
}

/* What is known of a file that has not changed stays known; what is retained of it in any case. */
static void scan_inherit(struct ft_offer *offer, const struct ft_offer *known)
{
	offer->announced = known->announced;
	if (!known->hashed || !ft_offer_stat_equal(&offer->stat, &known->stat))
		return;
	offer->hashed = true;
	offer->sha256 = known->sha256;
	offer->number = known->number;
	offer->told = known->told && scan_same_meta(offer, known);
}

/*
 * Compares with what was known: inherits, hashes. `*changed` if anything is not as it was.
 * FT_NO_MEMORY, FT_CANCELLED.
 */
static enum ft_status scan_compare(struct ft_scan_walk *walk, bool *changed)
{
	struct ft_offers *next = walk->next, *known = walk->scan->offers;
	struct ft_offer **some = ft_core_alloc((next->count + 1) * sizeof *some);
	enum ft_status st;
	size_t count = 0;

	*changed = *changed || next->count != known->count;
	for (size_t i = 0; i < next->count; i++) {
		struct ft_offer *offer = &next->offer[i], *before = ft_offers_find(known, offer);

		if (before)
			scan_inherit(offer, before);
		if (!before || offer->hashed != before->hashed || !scan_same_meta(offer, before)
		    || !ft_offer_stat_equal(&offer->stat, &before->stat))
			*changed = true;
		if (!offer->hashed && scan_rests(offer, before))
			some[count++] = offer;
		else if (!offer->hashed)
			walk->scan->again_ms = FT_SCAN_AGAIN_MS;
	}
	st = scan_hash_some(walk, some, count);
	for (size_t i = 0; i < count; i++)
		*changed = *changed || some[i]->hashed;
	free(some);
	return st;
}

/* What is to be withdrawn: files that are gone, and all where nothing is announced any more. */
static enum ft_status scan_note_gone(struct ft_scan_walk *walk)
{
	struct ft_scan *scan = walk->scan;
	struct ft_offers *known = scan->offers;
	bool announce = walk->core->options->announce;
	enum ft_status st = FT_OK;

	if (!scan->gone && !(scan->gone = ft_offers_new()))
		return FT_NO_MEMORY;
	for (size_t i = 0; st == FT_OK && i < known->count; i++) {
		const struct ft_offer *offer = &known->offer[i];

		if ((!announce && offer->announced)
		    || ((offer->hashed || offer->announced)
			&& !ft_offers_find(walk->next, offer)))
			st = ft_offers_add(scan->gone, offer);
	}
	if (scan->gone->count == 0)
		ft_offers_free(&scan->gone);
	return st;
}

/* Whether the row of an offer is not as it should be before anything is announced. */
static bool scan_wants_row(const struct ft_scan_walk *walk, const struct ft_offer *offer)
{
	const struct ft_offer *before = ft_offers_find(walk->scan->offers, offer);

	if (!offer->hashed)
		return false;
	return !before || before->number != offer->number || !scan_same_meta(before, offer)
	       || (walk->core->options->announce && !offer->announced);
}

/* Rows for what is new; an announcement may follow from now on. */
static enum ft_status scan_put_rows(struct ft_scan_walk *walk, struct ft_catalog *catalog)
{
	struct ft_offers *next = walk->next;
	enum ft_status st = FT_OK;
	bool begun = false;

	for (size_t i = 0; st == FT_OK && i < next->count; i++) {
		struct ft_offer *offer = &next->offer[i];

		if (!scan_wants_row(walk, offer))
			continue;
		if (!begun)
			st = ft_catalog_begin(catalog);
		begun = true;
		if (walk->core->options->announce)
			offer->announced = true;
		if (st == FT_OK)
			st = ft_catalog_put_offer(catalog, offer);
	}
	return begun ? ft_catalog_end(catalog, st) : st;
}

/* --- news --- */

/* Another message; its text is built on the heap to just its size. */
static void scan_add_news(struct ft_scan *scan, const struct ft_offer *offer, bool withdrawn)
{
	char room[64 + FT_NAME_ROOM + FT_OFFER_PATH_MAX];
	struct ft_buf topic = ft_buf_on(room, sizeof room), text;
	struct ft_offer_news *news = &scan->news[scan->news_count];

	if (!ft_offer_topic(&topic, offer))
		return;
	*news = (struct ft_offer_news){ .topic = ft_core_alloc(topic.len + 1) };
	memcpy(news->topic, room, topic.len + 1);
	news->payload = ft_core_alloc(ft_offer_room(offer));
	text = ft_buf_on(news->payload, ft_offer_room(offer));
	if (!withdrawn) {
		ft_buf_char(&text, '{');
		ft_offer_write_all(&text, offer);
		ft_buf_char(&text, '}');
		assert(ft_buf_ok(&text));
	}
	news->len = text.len;
	scan->news_count++;
}

/* The next messages. Withdrawals first: what is gone may be back already. */
static void scan_make_news(const struct ft_core *core, struct ft_scan *scan)
{
	size_t gone = scan->gone ? scan->gone->count : 0;

	scan->gone_next = scan->gone_at;
	scan->tell_next = scan->tell_at;
	for (; scan->gone_next < gone && scan->news_count < FT_SCAN_NEWS_MAX; scan->gone_next++)
		if (scan->gone->offer[scan->gone_next].announced)
			scan_add_news(scan, &scan->gone->offer[scan->gone_next], true);
	if (scan->gone_next < gone || !core->options->announce)
		return;
	for (; scan->tell_next < scan->offers->count && scan->news_count < FT_SCAN_NEWS_MAX;
	     scan->tell_next++) {
		const struct ft_offer *offer = &scan->offers->offer[scan->tell_next];

		if (offer->hashed && !offer->told)
			scan_add_news(scan, offer, false);
	}
}

/* Forgets the rows of what was withdrawn; of what is only not announced any more that is noted. */
static enum ft_status scan_drop_rows(struct ft_catalog *catalog, struct ft_scan *scan)
{
	enum ft_status st = ft_catalog_begin(catalog);

	for (size_t i = scan->gone_at; st == FT_OK && i < scan->gone_next; i++) {
		struct ft_offer *offer = ft_offers_find(scan->offers, &scan->gone->offer[i]);

		if (offer && offer->hashed) {
			offer->announced = offer->told;
			st = ft_catalog_put_offer(catalog, offer);
		} else {
			st = ft_catalog_drop_offer(catalog, &scan->gone->offer[i]);
		}
	}
	return ft_catalog_end(catalog, st);
}

/* What the broker has told is told; else the same messages are made again. */
static enum ft_status scan_settle_news(struct ft_catalog *catalog, struct ft_scan *scan)
{
	bool told = scan->told;
	enum ft_status st = FT_OK;

	scan->told = false;
	scan_drop_news(scan);
	if (!told || !scan->offers)
		return FT_OK;
	if (scan->gone_at < scan->gone_next && (st = scan_drop_rows(catalog, scan)) != FT_OK)
		return st;
	for (; scan->tell_at < scan->tell_next; scan->tell_at++)
		scan->offers->offer[scan->tell_at].told = scan->offers->offer[scan->tell_at].hashed;
	scan->gone_at = scan->gone_next;
	if (scan->gone && scan->gone_at == scan->gone->count) {
		ft_offers_free(&scan->gone);
		scan->gone_at = scan->gone_next = 0;
	}
	return FT_OK;
}

/* --- a step --- */

static enum ft_status scan_load_visit(void *context, const struct ft_offer *row)
{
	struct ft_scan *scan = context;
	struct ft_offer offer = *row;

	offer.number = ++scan->last_number;
	if (!scan_is_whose(offer.scope, offer.whose) && offer.scope != FT_OFFER_ALL)
		return FT_OK;
	return ft_offers_add(scan->offers, &offer);
}

static enum ft_status scan_load(struct ft_catalog *catalog, struct ft_scan *scan)
{
	enum ft_status st = (scan->offers = ft_offers_new()) ? FT_OK : FT_NO_MEMORY;

	if (st == FT_OK)
		st = ft_catalog_each_offer(catalog, scan_load_visit, scan);
	if (st == FT_OK)
		ft_offers_sort(scan->offers);
	else
		ft_offers_free(&scan->offers);
	return st;
}

static void scan_make_folders(const struct ft_core *core, const char *top)
{
	int root;
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", core->options->storage_dir, top);
	if (ft_sys_mkdirat(AT_FDCWD, path, 0750) != 0 && errno != EEXIST)
		return;
	root = ft_scan_open_root(core, top);
	for (int scope = FT_OFFER_CLIENT; root >= 0 && scope <= FT_OFFER_ALL; scope++)
		(void)(ft_sys_mkdirat(root, ft_offer_scope_word((enum ft_offer_scope)scope), 0750) != 0);
	ft_sys_close(root);
}

/* The file `groups` lies beside the folders. */
static enum ft_status scan_walk_offers(struct ft_scan_walk *walk, bool *changed)
{
	int64_t start_ms = ft_clock_ms();
	int dir = ft_open_beneath(walk->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum ft_status st;

	if (dir >= 0)
		ft_offer_watch_add(walk->scan->watch, dir);
	ft_sys_close(dir);
	if ((st = walk_groups(walk, changed)) == FT_OK)
		st = ft_scan_walk_all(walk);
	ft_offer_watch_note_cost(walk->scan->watch, ft_clock_ms() - start_ms);
	return st;
}

static enum ft_status scan_look(struct ft_scan_walk *walk, struct ft_catalog *catalog)
{
	struct ft_scan *scan = walk->scan;
	bool changed = !scan->looked;
	enum ft_status st;

	if (!(walk->next = ft_offers_new()))
		return FT_NO_MEMORY;
	if ((walk->root = ft_scan_open_root(walk->core, "offers")) < 0)
		return ft_scan_status(errno);
	if ((st = scan_walk_offers(walk, &changed)) != FT_OK)
		return st;
	ft_offers_sort(walk->next);
	if ((st = scan_compare(walk, &changed)) != FT_OK
	    || (st = scan_put_rows(walk, catalog)) != FT_OK || !changed
	    || (st = scan_note_gone(walk)) != FT_OK)
		return st;
	scan->former = scan->offers;
	scan->offers = walk->next;
	scan->tell_at = scan->tell_next = 0;
	scan->looked = true;
	walk->next = NULL;
	return FT_OK;
}

void ft_scan_run(struct ft_core *core, struct ft_catalog *catalog, struct ft_scan *scan)
{
	struct ft_scan_walk walk = {
		.core = core, .scan = scan, .root = -1, .top = "offers", .visit = walk_entry,
	};
	bool has_jobs = core->options->downloads & FT_DOWNLOADS_JOBS;
	enum ft_status st = FT_OK;

	ft_offers_free(&scan->former);
	scan->again_ms = -1;
	scan->jobs_changed = false;
	if (!scan->offers) {
		scan_make_folders(core, "offers");
		if (has_jobs)
			scan_make_folders(core, "jobs");
		st = scan_load(catalog, scan);
	}
	if (st == FT_OK)
		st = scan_settle_news(catalog, scan);
	if (st == FT_OK && scan->looked)
		scan_make_news(core, scan);
	if (st == FT_OK && scan->news_count == 0 && !scan->gone)
		st = scan_look(&walk, catalog);
	if (st == FT_OK && has_jobs && scan->looked)
		st = ft_scan_jobs(core, scan);
	if (st == FT_OK && (scan->news_count > 0 || scan->gone || scan->former))
		scan->again_ms = 0;
	if (st != FT_OK && st != FT_CANCELLED)
		scan_complain(core, scan, "", ft_status_text(st));
	ft_sys_close(walk.root);
	ft_offers_free(&walk.next);
	scan->job.status = st;
	ft_core_tell_broker(core, &scan->job);
}
