/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Random sequences of commands against a model of what was acknowledged, with restarts, kill -9
 * and power cuts between them. Each life of the engine is a process; the model is in memory
 * that all of them share.
 *
 *	MODEL_SEED=7 MODEL_LIVES=100 build/tests/property/test_engine_model
 *
 * A life that fails prints its seed. Threads are not repeated by a seed, commands are.
 */
#include <check.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sha256.h"

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

#define FILES 4
#define BLOCKS 24			/* of a file; a set of them has few enough ranges for `have` */
#define BLOCK_MAX ((size_t)80 * 1024)	/* so that a file may be small or large */
#define NAMES 2

enum model_state {
	MODEL_NONE,
	MODEL_OPEN,
	MODEL_FINISHING,	/* its result is not known here */
	MODEL_DONE,
};

struct model_file {
	enum model_state state;
	int name;
	bool refused;			/* by the last init */
	bool told;			/* FINISHING: the answer was taken, and the process killed */
	bool is_put;
	bool checksum_fits;
	size_t block;			/* bytes */
	size_t size;			/* FINISHING, DONE */
	bool held[BLOCKS];
	uint8_t bytes[BLOCKS * BLOCK_MAX];
};

struct model {
	unsigned seed;
	unsigned life;
	bool cut;			/* the power was, before this life */
	struct model_file files[FILES];
};

static struct rig rig;
static struct model *model;
static unsigned state;			/* of the random numbers */

static unsigned pick(unsigned below)
{
	state = state * 1103515245u + 12345u;
	return (state >> 16) % below;
}

/* --- words --- */

static const char *topic_of(int file, const char *command)
{
	static char topic[256];

	snprintf(topic, sizeof topic, "$file/f%d/%s", file, command);
	return topic;
}

static const char *fin_topic(int file)
{
	const struct model_file *f = &model->files[file];
	struct ft_sha256 digest;
	char command[128];
	struct ft_buf buf = ft_buf_on(command, sizeof command);

	if (f->is_put) {
		ft_buf_printf(&buf, "put/n%d", f->name);
		return topic_of(file, command);
	}
	ck_assert(ft_sha256_of(f->bytes, f->size, &digest));
	digest.bytes[0] ^= f->checksum_fits ? 0 : 1;
	ft_buf_printf(&buf, "fin/%zu/", f->size);
	ft_buf_hex(&buf, digest.bytes, sizeof digest.bytes);
	return topic_of(file, command);
}

static const char *name_of(int file)
{
	static char path[64];

	snprintf(path, sizeof path, "files/c/f%d/n%d", file, model->files[file].name);
	return path;
}

static const char *have_of(const struct model_file *f)
{
	static char text[4096];
	size_t len = 1;

	text[0] = '[';
	for (size_t i = 0, start; i < BLOCKS; i++) {
		if (!f->held[i])
			continue;
		for (start = i; i < BLOCKS && f->held[i]; i++)
			;
		len += (size_t)snprintf(text + len, sizeof text - len, "%s[%zu,%zu]",
					len > 1 ? "," : "", start * f->block,
					(i - start) * f->block);
	}
	snprintf(text + len, sizeof text - len, "]");
	return text;
}

static void expect(enum ft_status got, enum ft_status wanted, const char *what)
{
	ck_assert_msg(got == wanted, "seed %u, life %u: %s: %s, not %s\n%s", model->seed, model->life,
		      what, ft_status_word(got), ft_status_word(wanted), rig.log);
}

/* The answers to others stay. */
static enum ft_status ask(int file, const char *command, const void *bytes, size_t len)
{
	const char *topic = topic_of(file, command);

	rig_forget_topic(&rig, topic);
	(void)rig_send(&rig, "c", topic, bytes, len);
	return rig_wait_for(&rig, topic);
}

static const char *member(int file, const char *command, const char *key)
{
	return rig_member_of(&rig, topic_of(file, command), key);
}

static enum ft_status ask_init(int file, int name)
{
	char payload[64];

	snprintf(payload, sizeof payload, "{\"name\":\"n%d\"}", name);
	return ask(file, "init", payload, strlen(payload));
}

/* --- results --- */

/* The answer to a fin or put that was accepted. */
static void resolve(int file)
{
	struct model_file *f = &model->files[file];
	enum ft_status wanted = f->checksum_fits ? FT_OK : FT_FILE_CHECKSUM_MISMATCH;

	if (f->state != MODEL_FINISHING)
		return;
	if (!f->told)
		expect(rig_wait_for(&rig, fin_topic(file)), wanted, fin_topic(file));
	f->told = true;
	if (f->checksum_fits)
		rig_check_file(&rig, name_of(file), f->bytes, f->size);
	f->state = f->checksum_fits ? MODEL_DONE : MODEL_OPEN;
}

static void check_status(int file)
{
	static const char *const words[] = {
		[MODEL_NONE] = "\"none\"", [MODEL_OPEN] = "\"receiving\"",
		[MODEL_DONE] = "\"complete\"",
	};
	const struct model_file *f = &model->files[file];

	expect(ask(file, "status", "", 0), FT_OK, "status");
	ck_assert_msg(strcmp(member(file, "status", "state"), words[f->state]) == 0,
		      "seed %u, life %u: f%d is %s, not %s\n%s", model->seed, model->life, file,
		      member(file, "status", "state"), words[f->state], rig.log);
	if (f->state == MODEL_OPEN)
		ck_assert_msg(strcmp(member(file, "status", "have"), have_of(f)) == 0,
			      "seed %u, life %u: f%d: %s, not %s\n%s", model->seed, model->life, file,
			      member(file, "status", "have"), have_of(f), rig.log);
}

/* After a power cut less may be held, and a fin that nobody was told of may be forgotten. */
static void forget_what_was_lost(int file)
{
	struct model_file *f = &model->files[file];
	const char *word;
	cJSON *range;

	expect(ask(file, "status", "", 0), FT_OK, "status");
	word = member(file, "status", "state");
	if (strcmp(word, "\"complete\"") == 0) {
		ck_assert(f->state == MODEL_DONE || f->state == MODEL_FINISHING);
		f->state = MODEL_DONE;
		rig_check_file(&rig, name_of(file), f->bytes, f->size);
		return;
	}
	ck_assert_msg(f->state != MODEL_DONE, "seed %u, life %u: f%d was finished, and is %s",
		      model->seed, model->life, file, word);
	if (strcmp(word, "\"none\"") == 0) {
		f->state = MODEL_NONE;
		return;
	}
	f->state = MODEL_OPEN;
	{
		bool held[BLOCKS] = { false };
		cJSON *have = cJSON_GetObjectItem(rig_response(&rig, topic_of(file, "status"))->json, "have");

		cJSON_ArrayForEach(range, have) {
			size_t start = (size_t)cJSON_GetArrayItem(range, 0)->valuedouble;
			size_t len = (size_t)cJSON_GetArrayItem(range, 1)->valuedouble;

			for (size_t at = start; at < start + len; at += f->block) {
				ck_assert(at % f->block == 0 && f->held[at / f->block]);
				held[at / f->block] = true;
			}
		}
		memcpy(f->held, held, sizeof held);
	}
	/* Whether the last init was refused is forgotten, too: a good one says so. */
	{
		expect(ask_init(file, f->name), FT_OK, "init");
		f->refused = false;
	}
}

/* --- commands --- */

static void begin_model(int file, int name)
{
	struct model_file *f = &model->files[file];

	memset(f->held, 0, sizeof f->held);
	f->state = MODEL_OPEN;
	f->name = name;
	f->refused = false;
	f->block = pick(3) ? 1 + pick(2000) : BLOCK_MAX - pick(3);
}

static void do_init(int file)
{
	struct model_file *f = &model->files[file];
	int name = pick(4) ? f->name : (int)pick(NAMES);
	bool same = f->state == MODEL_NONE || name == f->name;

	expect(ask_init(file, name), same ? FT_OK : FT_FILEMETA_CONFLICT, "init");
	if (f->state == MODEL_NONE)
		begin_model(file, name);
	f->refused = !same;
	if (same && f->state == MODEL_OPEN)
		ck_assert_str_eq(member(file, "init", "have"), have_of(f));
}

static void do_segment(int file)
{
	static uint8_t bytes[4 * BLOCK_MAX];
	struct model_file *f = &model->files[file];
	size_t first = pick(BLOCKS), count = 1 + pick(4), len;
	enum ft_status wanted = FT_OK;
	char command[32];

	if (first + count > BLOCKS)
		count = BLOCKS - first;
	if (f->state == MODEL_NONE)
		wanted = FT_NO_SUCH_TRANSFER;
	else if (f->refused)
		wanted = FT_FILEMETA_CONFLICT;
	if (f->state == MODEL_DONE)
		return;
	len = count * (f->block ? f->block : 1);
	memset(bytes, (int)pick(256), len);
	bytes[pick((unsigned)len)] ^= 1;
	snprintf(command, sizeof command, "%zu", first * f->block);
	if (f->state == MODEL_NONE) {	/* the id may have been finished once */
		expect(ask(file, command, bytes, len), wanted, "segment");
		return;
	}
	for (;;) {
		enum ft_status st = rig_send(&rig, "c", topic_of(file, command), bytes, len);

		if (st != FT_BUSY) {
			expect(st, wanted, "segment");
			break;
		}
		usleep(1000);	/* for room in the log */
		rig_run(&rig);
	}
	if (wanted != FT_OK)
		return;
	memcpy(f->bytes + first * f->block, bytes, len);
	for (size_t i = first; i < first + count; i++)
		f->held[i] = true;
}

static void do_fin(int file)
{
	struct model_file *f = &model->files[file];
	size_t blocks = 0;
	enum ft_status wanted = FT_OK;

	if (f->state != MODEL_OPEN)
		return;
	while (blocks < BLOCKS && f->held[blocks])
		blocks++;
	f->is_put = false;
	f->checksum_fits = pick(3) != 0;
	f->size = blocks > 0 ? blocks * f->block - pick(2) : pick(2);
	if (f->refused)
		wanted = FT_FILEMETA_CONFLICT;
	else if (blocks == 0 && f->size > 0)
		wanted = FT_INCOMPLETE;
	rig_forget_topic(&rig, fin_topic(file));
	expect(rig_send(&rig, "c", fin_topic(file), "", 0), wanted, fin_topic(file));
	if (wanted != FT_OK)
		return;
	f->told = false;
	f->state = MODEL_FINISHING;
	if (pick(2))
		resolve(file);
}

static void do_put(int file)
{
	struct model_file *f = &model->files[file];
	size_t len = 1 + pick(5000);
	enum ft_status st;

	if (f->state != MODEL_NONE)
		return;
	memset(f->bytes, (int)pick(256), len);
	f->name = (int)pick(NAMES);
	f->is_put = f->checksum_fits = true;
	f->refused = f->told = false;
	f->size = len;
	rig_forget_topic(&rig, fin_topic(file));
	while ((st = rig_send(&rig, "c", fin_topic(file), f->bytes, len)) == FT_BUSY) {
		usleep(1000);
		rig_run(&rig);
	}
	expect(st, FT_OK, fin_topic(file));
	f->state = MODEL_FINISHING;
	if (pick(2))
		resolve(file);
}

static void do_abort(int file)
{
	struct model_file *f = &model->files[file];

	expect(ask(file, "abort", "", 0),
	       f->state == MODEL_DONE ? FT_ALREADY_COMPLETE : FT_OK, "abort");
	if (f->state == MODEL_OPEN)
		f->state = MODEL_NONE;
	f->refused = f->refused && f->state != MODEL_NONE;
	/* An abort takes the place holder of a refused init, too: the next init says what is so. */
	if (f->state == MODEL_DONE && f->refused) {
		expect(ask_init(file, f->name), FT_OK, "init");
		f->refused = false;
	}
}

/* A consumer takes the file with its manifest. */
static void do_take(int file)
{
	struct model_file *f = &model->files[file];
	char manifest[96];

	if (f->state != MODEL_DONE || f->refused)
		return;
	/* An init that is still in the log would begin the id anew after a kill. */
	rig_settle(&rig);
	snprintf(manifest, sizeof manifest, "%s.manifest.json", name_of(file));
	ck_assert_int_eq(unlink(rig_path(&rig, name_of(file))), 0);
	ck_assert_int_eq(unlink(rig_path(&rig, manifest)), 0);
	f->state = MODEL_NONE;
}

static void do_status(int file)
{
	if (!model->files[file].refused || model->files[file].state == MODEL_OPEN)
		check_status(file);
}

static void (*const acts[])(int file) = {
	do_init, do_init, do_segment, do_segment, do_segment, do_segment, do_fin, do_fin, do_put,
	do_abort, do_take, do_status,
};

/* --- lives --- */

static void live(void)
{
	unsigned steps = pick(60);

	for (int file = 0; model->cut && file < FILES; file++) {
		rig_settle(&rig);
		forget_what_was_lost(file);
	}
	model->cut = false;
	for (unsigned i = 0; i < steps; i++) {
		int file = (int)pick(FILES);

		resolve(file);
		acts[pick(sizeof acts / sizeof acts[0])](file);
		if (pick(20) == 0)
			rig_settle(&rig);
		if (pick(40) == 0) {
			for (int k = 0; k < FILES; k++)
				resolve(k);
			rig_restart(&rig);
		}
		if (pick(30) == 0)
			usleep(350 * 1000);	/* what waited in the log goes to the store */
	}
	/* What was told in this life need not be told in the next. */
	for (int file = 0; file < FILES; file++)
		if (rig_count(&rig, fin_topic(file)) > 0)
			resolve(file);
}

static unsigned number_from(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(test_engine_model__keeps_every_promise)
{
	unsigned lives = number_from("MODEL_LIVES", 12);

	model = mmap(NULL, sizeof *model, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(model != MAP_FAILED);
	memset(model, 0, sizeof *model);
	model->seed = number_from("MODEL_SEED", 1000) + (unsigned)_i;
	for (int i = 0; i < FILES; i++)
		model->files[i].block = 1;
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
	for (model->life = 0; model->life < lives; model->life++) {
		state = model->seed * 2654435761u + model->life;
		rig_act_and_be_killed(&rig, live);
		if (pick(6) == 0) {
			rig_cut_power(&rig);
			model->cut = true;
		}
	}
	fake_check();
	rig_teardown(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine model");
	TCase *cases = ft_suite_cases("engine model");

	ft_suite_use_memory();
	tcase_add_loop_test(cases, test_engine_model__keeps_every_promise, 0,
			    (int)number_from("MODEL_SEEDS", 8));
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
