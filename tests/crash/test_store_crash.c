/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Power cuts under the fs store alone. Each scene is played once and recorded; then the
 * power fails after each recorded call, in as many ways as there are seeds. After each cut
 *
 *	what is visible in files/ is whole, with a manifest beside it;
 *	what sync() or publish() said is there;
 *	a new store opens, and goes on: what was unfinished can be published.
 *
 * While it goes on, the power fails once more in some of the runs.
 *
 *	CRASH_SEEDS=100		how many ways per place (default 3)
 *	CRASH_SCENE=upload	only this one; CRASH_REPLAY=place:seed only this cut
 *	CRASH_SITES=file	notes down which places call an fsync
 *	CRASH_DROP=site		the fsync of such a place does nothing
 */
#include <check.h>
#include <setjmp.h>

#include "../contract/store_rig.h"
#include "calls.h"

#define KEYS 6
#define VERSIONS 16
#define SECOND_PERCENT 30

/* What is known of a key at some place of a tape. */
struct fate {
	int upload;		/* the version that sync() has said is there; 0: none */
	int file;		/* the version that publish() has said is there; 0: none */
	unsigned maybe;		/* versions that may be visible, a bit each */
};

enum what {
	SYNCED,
	PUBLISHING,
	PUBLISHED,
	DISCARDING,
	REMOVING,
};

/* Something to remember at a place. */
struct note {
	enum what what;
	int key;
	int version;
};

static struct {
	struct rig rig;
	char top[200];
	struct note note[4096];
	int notes;
	jmp_buf lost;
	char why[512];
	unsigned long cuts;
} world;

static const struct ft_key keys[KEYS] = {
	{ "c", 1, "0", 1 }, { "c", 1, "1", 1 }, { "c", 1, "2", 1 },
	{ "d", 1, "0", 1 }, { "e", 1, "0", 1 }, { "f", 1, "0", 1 },
};

__attribute__((format(printf, 1, 2), noreturn))
static void lose(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(world.why, sizeof world.why, format, args);
	va_end(args);
	longjmp(world.lost, 1);
}

static void expect(enum ft_status st, const char *what, int key)
{
	if (st != FT_OK)
		lose("key %d: %s says %s: %.300s", key, what, ft_status_word(st), world.rig.log);
}

/* --- versions --- */

static size_t version_len(int version)
{
	return 1000 + (size_t)version * 700;
}

/* The bytes of a version; static storage. */
static const char *version_bytes(int version)
{
	static char bytes[VERSIONS + 1][1000 + VERSIONS * 700 + 1];

	for (size_t i = 0; !bytes[version][0] && i < version_len(version); i++)
		bytes[version][version_len(version) - 1 - i] = (char)('a' + (i * 7 + (size_t)version) % 26);
	return bytes[version];
}

static const char *version_id(int version)
{
	static char ids[VERSIONS + 1][16];

	snprintf(ids[version], sizeof ids[version], "id-%d.", version);
	return ids[version];
}

static void note(enum what what, int key, int version)
{
	if (world.notes == (int)(sizeof world.note / sizeof *world.note))
		abort();
	world.note[world.notes] = (struct note){ what, key, version };
	tape_event(world.notes++);
}

static void follow_note(struct fate *fates, const struct note *n)
{
	struct fate *fate = &fates[n->key];

	switch (n->what) {
	case SYNCED:
		fate->upload = n->version;
		break;
	case PUBLISHING:
		fate->maybe |= 1u << n->version;
		break;
	case PUBLISHED:
		fate->file = n->version;
		fate->upload = 0;
		break;
	case DISCARDING:
		fate->upload = 0;
		break;
	case REMOVING:
		fate->file = 0;
		break;
	}
}

/* --- what scenes do --- */

static struct ft_upload *open_key(int key, enum ft_upload_mode mode)
{
	struct ft_upload *upload;

	expect(world.rig.ops->upload_open(world.rig.store, &keys[key], mode, &upload), "upload_open()",
	       key);
	return upload;
}

/* Writes a version in two pieces, the end first. */
static void write_version(int key, int version)
{
	struct ft_upload *upload = open_key(key, FT_UPLOAD_CREATE);
	const char *bytes = version_bytes(version);
	size_t half = version_len(version) / 2;

	expect(world.rig.ops->write(upload, half, bytes + half, version_len(version) - half),
	       "write()", key);
	expect(world.rig.ops->write(upload, 0, bytes, half), "write()", key);
	world.rig.ops->upload_close(&upload);
}

static void sync_version(int key, int version)
{
	struct ft_upload *upload = open_key(key, FT_UPLOAD_EXISTING);

	expect(ft_store_sync(upload), "sync()", key);
	world.rig.ops->upload_close(&upload);
	note(SYNCED, key, version);
}

enum source { MEMORY, UPLOAD };

static struct ft_publication publication(int key, int version, const char *name,
					 enum source source, enum ft_publish_mode mode)
{
	struct ft_publication what = rig_publication(&keys[key], name, version_id(version),
						     version_bytes(version), NULL,
						     version_len(version));

	what.mode = mode;
	if (source == UPLOAD) {
		what.bytes = NULL;
		what.upload = open_key(key, FT_UPLOAD_EXISTING);
	}
	note(PUBLISHING, key, version);
	return what;
}

static void publish_as(int key, int version, const char *name, enum source source,
		       enum ft_publish_mode mode)
{
	struct ft_publication what = publication(key, version, name, source, mode);

	world.rig.ops->publish(world.rig.store, &what, 1);
	expect(what.status, "publish()", key);
	note(PUBLISHED, key, version);
}

static void publish(int key, int version, enum source source)
{
	publish_as(key, version, "n", source, FT_PUBLISH_KEEP);
}

static void discard(int key)
{
	struct ft_upload *upload = open_key(key, FT_UPLOAD_EXISTING);

	note(DISCARDING, key, 0);
	expect(world.rig.ops->discard(upload), "discard()", key);
	world.rig.ops->upload_close(&upload);
}

static void remove_file(int key)
{
	note(REMOVING, key, 0);
	expect(rig_remove(&world.rig, &keys[key], "n"), "remove()", key);
}

/* --- scenes --- */

static void scene_memory(void)
{
	publish(0, 1, MEMORY);
	publish(0, 1, MEMORY);
	publish(1, 2, MEMORY);
	publish(3, 3, MEMORY);
}

static void scene_upload(void)
{
	write_version(0, 1);
	sync_version(0, 1);
	publish(0, 1, UPLOAD);
	write_version(1, 2);
	publish(1, 2, UPLOAD);
}

static void scene_cut_off(void)
{
	write_version(0, 5);
	write_version(0, 1);
	sync_version(0, 1);
	publish(0, 1, UPLOAD);
}

/* A consumer's things lie in the directories already. */
static void make_foreign(const char *client, const char *file)
{
	mkdir(rig_path(&world.rig, "files"), 0750);
	mkdir(rig_path(&world.rig, "files/%s", client), 0750);
	mkdir(rig_path(&world.rig, "files/%s/%s", client, file), 0750);
	rig_write_file(rig_path(&world.rig, "files/%s/%s/seen.manifest.json", client, file), "mine");
}

static void prepare_foreign(void)
{
	make_foreign("c", "0");
	make_foreign("d", "0");
}

static void scene_foreign(void)
{
	publish(0, 1, MEMORY);
	write_version(3, 2);
	sync_version(3, 2);
	publish(3, 2, UPLOAD);
}

static void scene_replace(void)
{
	publish(0, 1, MEMORY);
	publish_as(0, 2, "n", MEMORY, FT_PUBLISH_REPLACE);
	write_version(0, 3);
	sync_version(0, 3);
	publish_as(0, 3, "n", UPLOAD, FT_PUBLISH_REPLACE);
}

static void scene_discard(void)
{
	write_version(0, 1);
	sync_version(0, 1);
	discard(0);
	write_version(0, 2);
	sync_version(0, 2);
	publish(0, 2, UPLOAD);
}

static void scene_remove(void)
{
	publish(0, 1, MEMORY);
	remove_file(0);
	publish(0, 2, MEMORY);
	publish(1, 3, MEMORY);
	remove_file(1);
}

/* Six at once: half of them from uploads. */
static void scene_together(void)
{
	struct ft_publication what[KEYS];

	for (int i = 0; i < KEYS; i += 2) {
		write_version(i, i + 1);
		if (i != 2)
			sync_version(i, i + 1);
	}
	for (int i = 0; i < KEYS; i++)
		what[i] = publication(i, i + 1, "n", i % 2 ? MEMORY : UPLOAD, FT_PUBLISH_KEEP);
	world.rig.ops->publish(world.rig.store, what, KEYS);
	for (int i = 0; i < KEYS; i++) {
		expect(what[i].status, "publish()", i);
		note(PUBLISHED, i, i + 1);
	}
}

/* --- judging what a cut has left --- */

static size_t read_path(const char *path, char *bytes, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t len;

	if (!file)
		return SIZE_MAX;
	len = fread(bytes, 1, room, file);
	fclose(file);
	return len;
}

/* Whether but one version may ever have been visible. */
static bool is_alone(const struct fate *fate)
{
	return (fate->maybe & (fate->maybe - 1)) == 0;
}

/* The version of the visible file; 0: there is none. It must be whole, with a manifest. */
static int judge_visible(int key, const struct fate *fate)
{
	static char bytes[64 * 1024];
	const char *path = rig_path(&world.rig, "files/%s/%s/n", keys[key].owner, keys[key].file);
	size_t len = read_path(path, bytes, sizeof bytes);
	char manifest[200];

	if (len == SIZE_MAX)
		return 0;
	for (int v = 1; v <= VERSIONS; v++) {
		if (!(fate->maybe & 1u << v) || len != version_len(v)
		    || memcmp(bytes, version_bytes(v), len) != 0)
			continue;
		len = read_path(rig_path(&world.rig, "files/%s/%s/n.manifest.json", keys[key].owner,
					 keys[key].file), manifest, sizeof manifest - 1);
		if (len == SIZE_MAX)
			lose("key %d: version %d has no manifest", key, v);
		manifest[len] = '\0';
		/* Where a file is replaced, the manifest comes first. */
		if (!strstr(manifest, version_id(v)) && is_alone(fate))
			lose("key %d: version %d has the manifest \"%s\"", key, v, manifest);
		if (manifest[0] != '{' || manifest[len - 1] != '}')
			lose("key %d: the manifest is not whole", key);
		return v;
	}
	lose("key %d: what is visible is no version (%zu bytes)", key, len);
}

static bool has_upload(int key, int version)
{
	struct ft_upload *upload;
	size_t len = version_len(version);
	char *got = malloc(len);
	bool same = false;

	if (!got)
		abort();
	if (world.rig.ops->upload_open(world.rig.store, &keys[key], FT_UPLOAD_EXISTING, &upload) == FT_OK) {
		same = world.rig.ops->read(upload, 0, got, len) == FT_OK
		       && memcmp(got, version_bytes(version), len) == 0;
		world.rig.ops->upload_close(&upload);
	}
	free(got);
	return same;
}

static bool knows_all(void *context, const char *owner_name, const char *file_name)
{
	(void)context;
	(void)owner_name;
	(void)file_name;
	return true;
}

/* Somebody tidies up while the broker is down. */
static void remove_empty_directories(void)
{
	for (int key = 0; key < KEYS; key++)
		(void)unlinkat(AT_FDCWD, rig_path(&world.rig, "incoming/%s", keys[key].owner),
			       AT_REMOVEDIR);
}

/* A new store on what is left: it has what was promised, and goes on. */
static void rise(const struct fate *fates)
{
	int visible[KEYS];

	for (int key = 0; key < KEYS; key++)
		visible[key] = judge_visible(key, &fates[key]);
	remove_empty_directories();
	rig_start(&world.rig);
	for (int key = 0; key < KEYS; key++) {
		const struct fate *fate = &fates[key];

		/* One that was to be replaced may be so already. */
		if (fate->file && visible[key] < fate->file)
			lose("key %d: version %d was published, and %d is there", key, fate->file,
			     visible[key]);
		if (fate->upload && visible[key] != fate->upload && !has_upload(key, fate->upload))
			lose("key %d: version %d was synced and is not there", key, fate->upload);
	}
	expect(ft_store_sweep(world.rig.store, knows_all, NULL), "sweep()", 0);
	for (int key = 0; key < KEYS; key++) {
		int upload = fates[key].upload;

		if (visible[key] != judge_visible(key, &fates[key]))
			lose("key %d: opening the store has changed what is visible", key);
		if (upload && visible[key] != upload)
			publish_as(key, upload, "n", UPLOAD, FT_PUBLISH_REPLACE);
		/* The engine asks again for what it was not told the end of. */
		else if (visible[key])
			publish_as(key, visible[key], "n", MEMORY, is_alone(&fates[key])
				   ? FT_PUBLISH_KEEP : FT_PUBLISH_REPLACE);
	}
	rig_stop(&world.rig);
}

/* --- cutting --- */

static void world_dir(const char *name)
{
	snprintf(world.rig.dir, sizeof world.rig.dir, "%s/%s", world.top, name);
	tree_remove(world.rig.dir);
	if (mkdir(world.rig.dir, 0750) != 0)
		abort();
	world.rig.config.dir = world.rig.dir;
	world.rig.log[0] = '\0';
}

static void follow(struct disk *disk, struct fate *fates, const struct tape_entry *entry)
{
	if (entry->op == TAPE_EVENT)
		follow_note(fates, &world.note[entry->node]);
	else
		disk_play(disk, entry);
}

/* The power fails on that disk, comes back, and all goes on. */
static bool cut_and_rise(const struct disk *disk, const struct fate *fates, uint64_t seed,
			 struct tape *tape)
{
	world_dir("cut");
	cut_power(disk, seed, world.rig.dir);
	tape_start(tape, world.rig.dir);
	world.cuts++;
	if (setjmp(world.lost) != 0) {
		tape_stop();
		return false;
	}
	rise(fates);
	tape_stop();
	return true;
}

static bool cut(const struct disk *disk, const struct fate *fates, uint64_t seed)
{
	struct chance chance = chance_of(seed, 6);
	struct fate later[KEYS];
	int notes = world.notes;
	struct tape tape, last;
	bool held;

	held = cut_and_rise(disk, fates, seed, &tape);
	if (held && chance_percent(&chance, SECOND_PERCENT)) {
		size_t second = (size_t)chance_below(&chance, tape.entries + 1);

		memcpy(later, fates, sizeof later);
		for (size_t i = 0; i < second; i++)
			follow(&tape.base, later, &tape.entry[i]);
		held = cut_and_rise(&tape.base, later, chance_next(&chance), &last);
		tape_release(&last);
	}
	tape_release(&tape);
	world.notes = notes;
	return held;
}

static unsigned setting(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static bool cut_here(const char *scene, const struct disk *disk, const struct fate *fates,
		     size_t place)
{
	unsigned seeds = setting("CRASH_SEEDS", getenv("FT_VALGRIND") ? place % 16 == 0 : 3), seed;
	const char *replay = getenv("CRASH_REPLAY");
	char why[sizeof world.why];
	size_t where;

	for (unsigned i = 0; i < seeds || replay; i++) {
		seed = i;
		if (replay && (i > 0 || sscanf(replay, "%zu:%u", &where, &seed) != 2 || where != place))
			return true;
		if (cut(disk, fates, seed * UINT64_C(1000003) + place))
			continue;
		memcpy(why, world.why, sizeof why);
		snprintf(world.why, sizeof world.why, "%.300s\n  after call %zu; replay: "
			 "CRASH_SCENE=%s CRASH_REPLAY=%zu:%u", why, place, scene, place, seed);
		return false;
	}
	return true;
}

/* Which fsync is to do nothing. */
static void wish_sites(void)
{
	const char *drop = getenv("CRASH_DROP");
	unsigned long at[3];

	tapes.sites_wanted = getenv("CRASH_SITES") != NULL;
	tapes.drops = drop != NULL;
	if (!drop)
		return;
	if (sscanf(drop, "%lx:%lx:%lx", &at[0], &at[1], &at[2]) != 3)
		ck_abort_msg("CRASH_DROP is three hexadecimal numbers");
	for (int i = 0; i < 3; i++)
		tapes.dropped.at[i] = at[i];
}

static void tell_sites(void)
{
	FILE *out = tapes.sites_wanted ? fopen(getenv("CRASH_SITES"), "a") : NULL;

	for (size_t i = 0; out && i < tapes.sites; i++)
		fprintf(out, "%lx:%lx:%lx\n", (unsigned long)tapes.site[i].at[0],
			(unsigned long)tapes.site[i].at[1], (unsigned long)tapes.site[i].at[2]);
	if (out)
		fclose(out);
}

static void try_scene(const char *name, void (*prepare)(void), void (*scene)(void))
{
	const char *only = getenv("CRASH_SCENE");
	struct fate fates[KEYS] = { { .upload = 0 } };
	struct disk disk;
	struct tape tape;
	bool held = true;

	if (only && strcmp(only, name) != 0)
		return;
	wish_sites();
	ck_assert(tree_make(world.top, sizeof world.top, "ft-crash"));
	world.rig.ops = ft_store_backend("fs");
	world.rig.config.durability = FT_DURABILITY_FILE;
	turns_begin(1, 0);
	world_dir("run");
	if (prepare)
		prepare();
	if (setjmp(world.lost) != 0)
		ck_abort_msg("without a power cut: %s", world.why);
	tape_start(&tape, world.rig.dir);
	rig_start(&world.rig);
	scene();
	rig_stop(&world.rig);
	tape_stop();
	disk = tape.base;
	tape.base = (struct disk){ .nodes = 0 };
	for (size_t i = 0; held && i < tape.entries; i++) {
		follow(&disk, fates, &tape.entry[i]);
		held = cut_here(name, &disk, fates, i);
	}
	disk_release(&disk);
	tape_release(&tape);
	tell_sites();
	tree_remove(world.top);
	printf("%s: %lu power cuts\n", name, world.cuts);
	ck_assert_msg(held, "%s", world.why);
}

#define SCENE_AFTER(name, prepare) \
	START_TEST(test_store_crash__##name) \
	{ \
		try_scene(#name, prepare, scene_##name); \
	} \
	END_TEST

#define SCENE(name) SCENE_AFTER(name, NULL)

SCENE(memory)
SCENE(upload)
SCENE(cut_off)
SCENE_AFTER(foreign, prepare_foreign)
SCENE(replace)
SCENE(discard)
SCENE(remove)
SCENE(together)

FT_SUITE_IN_MEMORY("store_crash", test_store_crash__memory, test_store_crash__upload,
		   test_store_crash__cut_off, test_store_crash__foreign, test_store_crash__replace,
		   test_store_crash__discard, test_store_crash__remove, test_store_crash__together);
