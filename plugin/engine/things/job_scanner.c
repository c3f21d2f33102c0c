/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Jobs of devices: reads the documents in jobs/, those that are new or have changed. */
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/system.h"
#include "base/utf8.h"
#include "engine/downloads/scan_walk.h"
#include "protocol/aws_job.h"

#define JOBS_ROOM (FT_AWS_JOB_DOCUMENT_MAX + 2)

static const char jobs_suffix[] = ".json";

/* The job's id, of a file's name. False: it is none. */
static bool jobs_parse_name(char id[FT_AWS_JOB_ID_MAX + 1], const char *name)
{
	size_t len = strlen(name), suffix = sizeof jobs_suffix - 1;

	if (len <= suffix || strcmp(name + len - suffix, jobs_suffix) != 0
	    || !ft_aws_job_id_is_good(name, len - suffix))
		return false;
	memcpy(id, name, len - suffix);
	id[len - suffix] = '\0';
	return true;
}

/* Whether a text is a document, which becomes the offer's meta, without the space around it. */
static bool jobs_parse_document(struct ft_offer *offer, char *text, size_t len)
{
	if (strlen(text) != len || !ft_utf8_valid(text, len)
	    || ft_json_find(text, len, NULL, 0) != FT_JSON_OBJECT)
		return false;
	offer->meta.at = text + strspn(text, "\xef\xbb\xbf \t\r\n");
	while (strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	offer->meta.len = strlen(offer->meta.at);
	return ft_sha256_of(offer->meta.at, offer->meta.len, &offer->sha256);
}

/* Reads a document that was not known like this. NULL: it is good; else what is wrong with it. */
static const char *jobs_read(struct ft_scan_walk *walk, int dir, const char *name,
			     struct ft_offer *offer, char room[JOBS_ROOM])
{
	struct ft_offer_stat now;
	struct stat st;
	size_t len;

	if (!ft_scan_read_small(dir, name, room, FT_AWS_JOB_DOCUMENT_MAX, &len))
		return errno == EFBIG ? "it is larger than 32k" : "it cannot be read";
	if (!jobs_parse_document(offer, room, len))
		return "it is no JSON object";
	if (ft_sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		now = ft_scan_stat_of(&st);
		if (ft_offer_stat_equal(&now, &offer->stat))
			return NULL;
	}
	walk->scan->again_ms = FT_SCAN_AGAIN_MS;
	return "it changes";
}

static enum ft_status jobs_add(struct ft_scan_walk *walk, const struct ft_offer *offer)
{
	enum ft_status st = ft_offers_add(walk->next, offer);

	if (st != FT_BUSY)
		return st;
	ft_scan_complain(walk, "there are too many jobs");
	return FT_OK;
}

/* What is written in place is no document until all is there: then nothing is said of it. */
static bool jobs_may_still_come(int64_t changed_ns)
{
	int64_t age_ms = ft_clock_unix_ms() - changed_ns / 1000000;

	return age_ms >= 0 && age_ms < FT_SCAN_REST_MS;
}

/*
 * Whether the stream that a document names may be asked for. One that is put there together with
 * its job is hashed first, or devices would ask in vain. Where there is none it is not waited for.
 */
static bool jobs_has_stream(const struct ft_scan_walk *walk, const struct ft_offer *offer)
{
	struct ft_json_member ota = { .key = "afr_ota" }, name = { .key = "streamname" };
	char room[sizeof "streams/" + FT_AWS_STREAM_MAX + 1], stream[FT_AWS_STREAM_MAX + 1];
	struct ft_buf prefix = ft_buf_on(room, sizeof room);
	const struct ft_offers *offers = walk->scan->offers;
	bool found = false;
	size_t len;

	if (ft_json_find(offer->meta.at, offer->meta.len, &ota, 1) != FT_JSON_OBJECT
	    || ota.value.len == 0
	    || ft_json_find(ota.value.at, ota.value.len, &name, 1) != FT_JSON_OBJECT
	    || name.value.len == 0 || !ft_json_string(&name.value, stream, sizeof stream, &len))
		return true;
	ft_buf_str(&prefix, "streams/");
	ft_buf_str(&prefix, stream);
	ft_buf_char(&prefix, '/');
	for (size_t i = 0; i < offers->count; i++) {
		if (strncmp(offers->offer[i].path, room, prefix.len) != 0)
			continue;
		found = true;
		if (!offers->offer[i].hashed)
			return false;
	}
	/* The folders of offers were looked at before those of jobs. */
	return found || !jobs_may_still_come(offer->stat.ctime_ns);
}

static enum ft_status jobs_visit(struct ft_scan_walk *walk, int dir, const char *name)
{
	struct ft_offers *known = walk->scan->jobs ? walk->scan->jobs->documents : NULL;
	char id[FT_AWS_JOB_ID_MAX + 1], *room;
	struct ft_offer offer = { .scope = walk->scope, .whose = walk->whose, .path = id, .hashed = true };
	const struct ft_offer *before;
	const char *why;
	struct stat st;
	enum ft_status status = FT_OK;

	if (ft_sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? FT_OK : ft_scan_status(errno);
	if (!S_ISREG(st.st_mode) || !jobs_parse_name(id, name)) {
		ft_scan_complain(walk, "a job is a file <id>.json; an id has A-Z a-z 0-9 _ - only, "
				 "at most 64");
		return FT_OK;
	}
	offer.stat = ft_scan_stat_of(&st);
	before = known ? ft_offers_find(known, &offer) : NULL;
	if (before && ft_offer_stat_equal(&before->stat, &offer.stat))
		return jobs_add(walk, before);
	room = ft_core_alloc(JOBS_ROOM);
	why = jobs_read(walk, dir, name, &offer, room);
	if (!why && jobs_has_stream(walk, &offer))
		status = jobs_add(walk, &offer);
	else if (why && !jobs_may_still_come(offer.stat.mtime_ns))
		ft_scan_complain(walk, why);
	else {
		/* Who hashes a stream looks again without being asked. */
		if (why || jobs_may_still_come(offer.stat.ctime_ns))
			walk->scan->again_ms = FT_SCAN_AGAIN_MS;
		if (before)
			status = jobs_add(walk, before);
	}
	free(room);
	return status;
}

/* Whether anybody may get another document than before. */
static bool jobs_differ(const struct ft_scan *scan, const struct ft_offers *next)
{
	const struct ft_offers *known = scan->jobs ? scan->jobs->documents : NULL;

	if (!known || known->count != next->count || scan->groups_number != scan->jobs_groups_number)
		return true;
	for (size_t i = 0; i < next->count; i++)
		if (ft_offer_compare(&next->offer[i], &known->offer[i]) != 0
		    || !ft_offer_stat_equal(&next->offer[i].stat, &known->offer[i].stat))
			return true;
	return false;
}

static enum ft_status jobs_replace(struct ft_scan *scan, struct ft_offers **next)
{
	const char *groups = scan->groups_text ? scan->groups_text : "";
	char room[200];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_job_index *index;
	enum ft_status st;

	if ((st = ft_groups_parse(&(*next)->groups, groups, strlen(groups), &why)) != FT_OK)
		return st;
	if (!(index = ft_job_index_new(next)))
		return FT_NO_MEMORY;
	ft_job_index_drop(&scan->jobs);
	scan->jobs = index;
	scan->jobs_groups_number = scan->groups_number;
	scan->jobs_changed = true;
	return FT_OK;
}

enum ft_status ft_scan_jobs(struct ft_core *core, struct ft_scan *scan)
{
	struct ft_scan_walk walk = {
		.core = core, .scan = scan, .top = "jobs", .visit = jobs_visit,
		.root = ft_scan_open_root(core, "jobs"), .next = ft_offers_new(),
	};
	enum ft_status st = FT_OK;

	if (walk.root < 0)
		st = ft_scan_status(errno);
	else if (!walk.next)
		st = FT_NO_MEMORY;
	if (st == FT_OK)
		st = ft_scan_walk_all(&walk);
	if (st == FT_OK) {
		ft_offers_sort(walk.next);
		if (jobs_differ(scan, walk.next))
			st = jobs_replace(scan, &walk.next);
	}
	ft_sys_close(walk.root);
	ft_offers_free(&walk.next);
	return st;
}
