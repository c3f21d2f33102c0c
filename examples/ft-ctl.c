/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * ft-ctl: shows and steers the file transfers of a broker, by the plugin's admin API
 * (docs/control.md). One row of the table below for each command.
 */
#include <locale.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ft-ctl/call.h"
#include "ft-ctl/options.h"
#include "ft-ctl/pages.h"
#include "ft-ctl/table.h"
#include "ft-ctl/top.h"

#define VERIFY_LOOK_MS 500

/* --- printing --- */

static void print_json(const cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);

	if (text)
		puts(text);
	cJSON_free(text);
}

/* Members as lines; those that are objects are indented. */
static void print_members(const cJSON *data, int indent)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, data) {
		char *text = cJSON_IsObject(item) ? NULL : cJSON_PrintUnformatted(item);

		printf("%*s%-*s ", indent, "", 24 - indent, item->string ? item->string : "");
		table_print_text(cJSON_IsString(item) ? item->valuestring : text ? text : "", 0);
		printf("\n");
		cJSON_free(text);
		if (cJSON_IsObject(item))
			print_members(item, indent + 2);
	}
}

static void print_data(const struct settings *settings, const cJSON *data)
{
	if (settings->json)
		print_json(data);
	else
		print_members(data, 0);
}

/* --- lists --- */

/* Each table takes 80 columns. */
static const struct table_column transfer_columns[] = {
	{ "CLIENT", -16, cell_client }, { "FILE", -12, cell_file }, { "NAME", -18, cell_name },
	{ "SIZE", 6, cell_size }, { "DONE", 4, cell_done }, { "RATE", 7, cell_rate },
	{ "STATE", -11, cell_state },
	{ NULL, 0, NULL },
};

static const struct table_column file_columns[] = {
	{ "COMPLETED (UTC)", -19, cell_completed }, { "CLIENT", -18, cell_client },
	{ "FILE", -14, cell_file }, { "NAME", -19, cell_name }, { "SIZE", 6, cell_size },
	{ NULL, 0, NULL },
};

static const struct table_column pause_columns[] = {
	{ "SINCE (UTC)", -19, cell_since }, { "WHAT", -8, cell_scope }, { "CLIENT", -25, cell_client },
	{ "FILE", -25, cell_file },
	{ NULL, 0, NULL },
};

static const struct table_column client_columns[] = {
	{ "CLIENT", -26, cell_client }, { "OPEN", 5, cell_transfers }, { "HELD", 6, cell_received },
	{ "FILES", 7, cell_files }, { "SIZE", 6, cell_file_bytes }, { "QUOTA", 6, cell_quota },
	{ "LATEST", -10, cell_latest }, { "STATE", -6, cell_state },
	{ NULL, 0, NULL },
};

static const struct table_column offer_columns[] = {
	{ "MODIFIED (UTC)", -19, cell_modified }, { "TO", -20, cell_to }, { "NAME", -25, cell_name },
	{ "SIZE", 6, cell_size }, { "OFFERED", -7, cell_offered },
	{ NULL, 0, NULL },
};

static const struct table_column job_columns[] = {
	{ "UPDATED (UTC)", -19, cell_updated }, { "THING", -20, cell_thing }, { "JOB", -26, cell_job },
	{ "STATUS", -11, cell_status },
	{ NULL, 0, NULL },
};

struct listing {
	const struct settings *settings;
	const struct table_column *columns;
	unsigned long count;
};

static bool list_entry(void *context, cJSON *entry)
{
	struct listing *listing = context;

	if (listing->settings->json)
		print_json(entry);
	else if (listing->count == 0)
		table_print_head(listing->columns);
	if (!listing->settings->json)
		table_print(listing->columns, entry,
			    listing->settings->wide ? TABLE_WHOLE : TABLE_CUT);
	listing->count++;
	return true;
}

static enum exit_code list(struct caller *caller, const struct settings *settings,
			   const struct pages *pages, const struct table_column *columns)
{
	struct listing listing = { settings, columns, 0 };

	return pages_each(caller, pages, list_entry, &listing) ? EXIT_DONE : caller->code;
}

static const char *first_argument(const struct settings *settings)
{
	return settings->argument_count ? settings->arguments[0] : NULL;
}

static enum exit_code do_list(struct caller *caller, const struct settings *settings)
{
	const struct pages pages = {
		.command = "listTransfers", .what = "transfers", .filter = &settings->filter,
		.limit = settings->limit, .client = first_argument(settings),
	};

	return list(caller, settings, &pages, transfer_columns);
}

static enum exit_code do_files(struct caller *caller, const struct settings *settings)
{
	const struct pages pages = {
		.command = "listFiles", .what = "files", .filter = &settings->filter,
		.limit = settings->limit, .client = first_argument(settings),
	};

	return list(caller, settings, &pages, file_columns);
}

static enum exit_code do_clients(struct caller *caller, const struct settings *settings)
{
	const struct pages pages = {
		.command = "listClients", .what = "clients", .limit = settings->limit,
		.clients = first_argument(settings),
	};

	return list(caller, settings, &pages, client_columns);
}

static enum exit_code do_offers(struct caller *caller, const struct settings *settings)
{
	const struct pages pages = {
		.command = "listOffers", .what = "offers", .filter = &settings->filter,
		.limit = settings->limit, .to = first_argument(settings),
	};

	return list(caller, settings, &pages, offer_columns);
}

static enum exit_code do_jobs(struct caller *caller, const struct settings *settings)
{
	const struct pages pages = {
		.command = "listJobs", .what = "jobs", .filter = &settings->filter,
		.limit = settings->limit, .status = settings->status,
		.client = first_argument(settings),
	};

	return list(caller, settings, &pages, job_columns);
}

static enum exit_code do_pauses(struct caller *caller, const struct settings *settings)
{
	struct listing listing = { settings, pause_columns, 0 };
	cJSON *command = call_new("listPauses"), *data = call(caller, &command), *entry;

	if (!data)
		return caller->code;
	cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(data, "pauses"))
		(void)list_entry(&listing, entry);
	cJSON_Delete(data);
	return EXIT_DONE;
}

/* --- one transfer or file --- */

/* A command about what the arguments name: a client, and perhaps a file. */
static cJSON *command_about(const struct settings *settings, const char *name)
{
	static const char *const keys[] = { "client_id", "file_id" };
	cJSON *command = call_new(name);

	for (int i = 0; i < settings->argument_count && i < 2; i++)
		if (command && !cJSON_AddStringToObject(command, keys[i], settings->arguments[i])) {
			cJSON_Delete(command);
			command = NULL;
		}
	return command;
}

/* Nothing is printed where there is nothing to tell but success. */
static enum exit_code run(struct caller *caller, const struct settings *settings, cJSON *command)
{
	cJSON *data = call(caller, &command);

	if (!data)
		return caller->code;
	if (settings->json || cJSON_GetArraySize(data) > 0)
		print_data(settings, data);
	cJSON_Delete(data);
	return EXIT_DONE;
}

/* Tells what the plugin has refused, if it was that; the connection's failures were told. */
static enum exit_code refused(const struct caller *caller)
{
	if (*caller->error)
		complain(EXIT_REFUSED, "%s: %s", caller->error, caller->detail);
	return caller->code;
}

static enum exit_code do_show(struct caller *caller, const struct settings *settings)
{
	cJSON *command = command_about(settings, "getTransfer");
	cJSON *data = call_quietly(caller, &command);

	if (!data && strcmp(caller->error, "no_such_transfer") == 0) {
		command = command_about(settings, "getFile");
		data = call_quietly(caller, &command);
		if (!data && strcmp(caller->error, "no_such_transfer") == 0)
			return complain(EXIT_REFUSED, "no_such_transfer: neither an unfinished transfer "
					"nor a finished file has this id");
	}
	if (!data)
		return refused(caller);
	print_data(settings, data);
	cJSON_Delete(data);
	return EXIT_DONE;
}

/* With --json as an object, else the URL alone: `curl "$(ft-ctl url CLIENT FILE)"`. */
static enum exit_code print_url(const struct settings *settings, cJSON *file)
{
	const char *url = text_of(file, "url");
	cJSON *shown = NULL;

	if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(file, "present")))
		return complain(EXIT_REFUSED, "the file was taken away");
	if (!cJSON_HasObjectItem(file, "url"))
		return complain(EXIT_REFUSED, "this broker keeps its files in a directory: there are URLs with "
				"\"store s3\" only");
	if (!*url)
		return complain(EXIT_REFUSED, "the broker cannot sign a URL now: its log says why");
	if (!settings->json) {
		puts(url);
		return EXIT_DONE;
	}
	shown = cJSON_CreateObject();
	cJSON_AddStringToObject(shown, "url", url);
	cJSON_AddStringToObject(shown, "url_expires_at", text_of(file, "url_expires_at"));
	print_json(shown);
	cJSON_Delete(shown);
	return EXIT_DONE;
}

static enum exit_code do_url(struct caller *caller, const struct settings *settings)
{
	cJSON *command = command_about(settings, "getFile"), *file;
	enum exit_code code;

	if (command && settings->ttl && !cJSON_AddRawToObject(command, "url_ttl", settings->ttl)) {
		cJSON_Delete(command);
		command = NULL;
	}
	file = call_quietly(caller, &command);
	if (!file && strcmp(caller->error, "no_such_transfer") == 0)
		return complain(EXIT_REFUSED, "no_such_transfer: no finished file has this id");
	if (!file)
		return refused(caller);
	code = print_url(settings, file);
	cJSON_Delete(file);
	return code;
}

static enum exit_code do_abort(struct caller *caller, const struct settings *settings)
{
	return run(caller, settings, command_about(settings, "abortTransfer"));
}

static enum exit_code do_rm(struct caller *caller, const struct settings *settings)
{
	return run(caller, settings, command_about(settings, "deleteFile"));
}

/* A command with texts; those that are NULL are left out. */
static cJSON *command_with(cJSON *command, const char *const keys[], const char *const values[], int count)
{
	for (int i = 0; i < count; i++)
		if (command && values[i] && !cJSON_AddStringToObject(command, keys[i], values[i])) {
			cJSON_Delete(command);
			command = NULL;
		}
	return command;
}

static enum exit_code do_offer(struct caller *caller, const struct settings *settings)
{
	static const char *const keys[] = { "to", "name" };
	cJSON *command = command_with(command_about(settings, "offerFile"), keys, settings->arguments + 2,
				      settings->argument_count - 2);

	if (command && settings->replace)
		cJSON_AddTrueToObject(command, "replace");
	return run(caller, settings, command);
}

static enum exit_code do_withdraw(struct caller *caller, const struct settings *settings)
{
	static const char *const keys[] = { "to", "name" };

	return run(caller, settings, command_with(call_new("withdrawOffer"), keys, settings->arguments, 2));
}

/* Of everybody only where that was said: `pause` alone may be a slip. */
static enum exit_code pause_or_resume(struct caller *caller, const struct settings *settings,
				      const char *const commands[3])
{
	int named = settings->argument_count;

	if (settings->all == (named > 0))
		return complain(EXIT_USAGE, "%s wants a CLIENT, CLIENT and FILE, or --all",
				settings->command);
	return run(caller, settings, command_about(settings, commands[named]));
}

static enum exit_code do_pause(struct caller *caller, const struct settings *settings)
{
	static const char *const commands[] = { "pauseAll", "pauseClient", "pauseTransfer" };

	return pause_or_resume(caller, settings, commands);
}

static enum exit_code do_resume(struct caller *caller, const struct settings *settings)
{
	static const char *const commands[] = { "resumeAll", "resumeClient", "resumeTransfer" };

	return pause_or_resume(caller, settings, commands);
}

/* --- the broker --- */

static enum exit_code do_stats(struct caller *caller, const struct settings *settings)
{
	enum exit_code code = run(caller, settings, call_new("getStatus"));

	return code == EXIT_DONE ? run(caller, settings, call_new("getMetrics")) : code;
}

/* client_quota=10G, or client_quota=none. */
static bool add_limit(cJSON *limits, const char *argument)
{
	const char *equals = strchr(argument, '=');
	char name[64];

	if (!equals || equals == argument || (size_t)(equals - argument) >= sizeof(name)) {
		complain(EXIT_USAGE, "\"%s\": NAME=VALUE is wanted, such as client_quota=10G", argument);
		return false;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(equals - argument), argument);
	if (strcmp(equals + 1, "none") == 0)
		return cJSON_AddNullToObject(limits, name) != NULL;
	return cJSON_AddStringToObject(limits, name, equals + 1) != NULL;
}

/* What the arguments behind `set` or `unset` say. False: it has been told what is wrong. */
static bool add_change(cJSON *command, const struct settings *settings)
{
	bool set = strcmp(settings->arguments[0], "set") == 0;
	cJSON *list = NULL;

	if (settings->argument_count == 1 && set) {
		complain(EXIT_USAGE, "limits set: which limits? NAME=VALUE, such as client_quota=10G");
		return false;
	}
	if (settings->argument_count == 1)
		return cJSON_AddTrueToObject(command, "remove") != NULL;
	list = set ? cJSON_AddObjectToObject(command, "limits") : cJSON_AddArrayToObject(command, "unset");
	for (int i = 1; list && i < settings->argument_count; i++)
		if (set ? !add_limit(list, settings->arguments[i])
			: !cJSON_AddItemToArray(list, cJSON_CreateString(settings->arguments[i])))
			return false;
	return list != NULL;
}

/* Sets limits of an override, or takes some of them, or all of it, away. */
static enum exit_code change_limits(struct caller *caller, const struct settings *settings)
{
	cJSON *command;

	if (!settings->for_client && !settings->for_user)
		return complain(EXIT_USAGE, "limits %s: whose? --for-client PATTERN, --for-user PATTERN, "
				"or both", settings->arguments[0]);
	command = call_new("setLimits");
	if (command && add_change(command, settings)
	    && (!settings->for_client
		|| cJSON_AddStringToObject(command, "client", settings->for_client))
	    && (!settings->for_user
		|| cJSON_AddStringToObject(command, "user", settings->for_user)))
		return run(caller, settings, command);
	cJSON_Delete(command);
	return EXIT_USAGE;
}

/* Of a client, whose user name is the second argument. */
static enum exit_code do_limits(struct caller *caller, const struct settings *settings)
{
	static const char *const keys[] = { "client_id", "user" };
	cJSON *command;

	if (settings->argument_count > 0 && (strcmp(settings->arguments[0], "set") == 0
					     || strcmp(settings->arguments[0], "unset") == 0))
		return change_limits(caller, settings);
	if (settings->argument_count > 2 || settings->for_client || settings->for_user)
		return complain(EXIT_USAGE, "limits wants set, unset, or CLIENT and USER; try --help");
	command = call_new("getLimits");

	for (int i = 0; command && i < settings->argument_count; i++)
		cJSON_AddStringToObject(command, keys[i], settings->arguments[i]);
	return run(caller, settings, command);
}

static enum exit_code do_reload(struct caller *caller, const struct settings *settings)
{
	return run(caller, settings, call_new("reloadLimits"));
}

static enum exit_code do_gc(struct caller *caller, const struct settings *settings)
{
	return run(caller, settings, call_new("runGc"));
}

/* Follows a verification to its end. NULL: an error, which was told. */
static cJSON *follow_verify(struct caller *caller, const struct settings *settings)
{
	for (;;) {
		cJSON *command = call_new("getStatus"), *data = call(caller, &command);
		cJSON *verify = cJSON_DetachItemFromObjectCaseSensitive(data, "verify");
		bool running = strcmp(text_of(verify, "state"), "running") == 0;

		cJSON_Delete(data);
		if (!verify || !running)
			return verify;
		if (!settings->json) {
			char read[32];

			print_size(read, sizeof(read), number_of(verify, "bytes"));
			fprintf(stderr, "\r%.0f of %.0f files, %s, %.0f damaged, %.0f adopted  ",
				number_of(verify, "files"), number_of(verify, "total"), read,
				number_of(verify, "damaged"), number_of(verify, "adopted"));
		}
		cJSON_Delete(verify);
		if (!caller_wait(caller, VERIFY_LOOK_MS))
			return NULL;
	}
}

/* Waits for the end, and tells it. Where anything of this kind was found that is a failure. */
static enum exit_code end_verify(struct caller *caller, const struct settings *settings,
				 const char *wrong)
{
	cJSON *verify = follow_verify(caller, settings);
	enum exit_code code;

	if (!verify)
		return caller->code;
	if (!settings->json)
		fprintf(stderr, "\n");
	print_data(settings, verify);
	code = number_of(verify, wrong) > 0 ? EXIT_REFUSED : EXIT_DONE;
	cJSON_Delete(verify);
	return code;
}

static enum exit_code do_verify(struct caller *caller, const struct settings *settings)
{
	cJSON *command, *verify;

	if (settings->cancel)
		return run(caller, settings, call_new("cancelVerify"));
	command = call_new("verifyFiles");
	verify = call_quietly(caller, &command);
	/* Busy: one goes on already, and that will do. */
	if (!verify && strcmp(caller->error, "busy") != 0)
		return refused(caller);
	cJSON_Delete(verify);
	return end_verify(caller, settings, "damaged");
}

static enum exit_code do_adopt(struct caller *caller, const struct settings *settings)
{
	cJSON *command = call_new("adoptFiles"), *begun = call(caller, &command);

	if (!begun)
		return caller->code;
	cJSON_Delete(begun);
	return end_verify(caller, settings, "unknown");
}

/* --- all --- */

static const struct {
	const char *name;
	int min, max;			/* arguments */
	enum exit_code (*run)(struct caller *caller, const struct settings *settings);
} commands[] = {
	{ "list", 0, 1, do_list },
	{ "show", 2, 2, do_show },
	{ "abort", 2, 2, do_abort },
	{ "pause", 0, 2, do_pause },
	{ "resume", 0, 2, do_resume },
	{ "pauses", 0, 0, do_pauses },
	{ "files", 0, 1, do_files },
	{ "url", 2, 2, do_url },
	{ "rm", 2, 2, do_rm },
	{ "clients", 0, 1, do_clients },
	{ "stats", 0, 0, do_stats },
	{ "top", 0, 1, top_run },
	{ "verify", 0, 0, do_verify },
	{ "gc", 0, 0, do_gc },
	{ "adopt", 0, 0, do_adopt },
	{ "limits", 0, 20, do_limits },
	{ "reload", 0, 0, do_reload },
	{ "offer", 3, 4, do_offer },
	{ "withdraw", 2, 2, do_withdraw },
	{ "offers", 0, 1, do_offers },
	{ "jobs", 0, 1, do_jobs },
};

static enum exit_code run_command(const struct settings *settings)
{
	struct caller caller;
	enum exit_code code;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, settings->command) != 0)
			continue;
		if (settings->argument_count < commands[i].min
		    || settings->argument_count > commands[i].max)
			return complain(EXIT_USAGE, "%s: too %s arguments; try --help",
					settings->command,
					settings->argument_count < commands[i].min ? "few" : "many");
		code = caller_open(&caller, &settings->link) ? commands[i].run(&caller, settings)
							     : caller.code;
		caller_close(&caller);
		return code;
	}
	return complain(EXIT_USAGE, "there is no command \"%s\"; try --help", settings->command);
}

int main(int argc, char **argv)
{
	struct settings settings;
	enum exit_code code = EXIT_INTERNAL;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_DFL);	/* as of `ft-ctl files | head` */
	if (options_parse(&settings, argc, argv, &code)) {
		mosquitto_lib_init();
		code = run_command(&settings);
		mosquitto_lib_cleanup();
	}
	options_release(&settings);
	return (int)code;
}
