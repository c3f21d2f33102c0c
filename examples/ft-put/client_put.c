/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The upload in one message: which files, and which brokers. */
#include "client_parts.h"

#include <mosquitto.h>
#include <string.h>

/*
 * Files up to this size are hashed before they are begun, and may go in one message. It does not
 * depend on any option: the next run has to begin the same file with the same words.
 */
#define SMALL_MAX ((uint64_t)256 * 1024)
#define NAME_MAX_BYTES 240	/* that plugins take */

bool put_hash(struct file *file)
{
	const struct source *source = &file->source;
	const char *why;

	file->is_small = !source->stream && source->size <= SMALL_MAX;
	if (!file->is_small)
		return true;
	(void)source_hash_on(&file->source, SMALL_MAX, &why);
	file->file_failed = why != NULL;
	return file->file_failed || source_digest(source, file->info.sha256);
}

/*
 * Whether the broker may have it already, all or a part. Then a question is cheaper than the file:
 * `init`, not `put`. What is younger than all that was ever delivered cannot be there.
 */
static bool put_may_be_there(const struct ft_client *client, const struct file *file)
{
	const struct timespec *born = &file->source.stat.st_ctim;

	return file->begun_before ||
	       (int64_t)born->tv_sec * 1000 + born->tv_nsec / 1000000 <= client->delivered_ms;
}

bool put_is_possible(const struct ft_client *client, const struct file *file)
{
	const struct ft_client_file_options *options = &file->options;

	return file->is_small && !put_may_be_there(client, file) &&
	       client->put != UPLOAD_PUT_NOT_KNOWN &&
	       (client->lane_count == 1 || client->alone) &&
	       !options->user_data && !options->ttl_s && !options->expire_s &&
	       !strchr(file->name, '/') && strlen(file->name) <= NAME_MAX_BYTES &&
	       mosquitto_pub_topic_check(file->name) == MOSQ_ERR_SUCCESS &&
	       mosquitto_validate_utf8(file->name, (int)strlen(file->name)) == MOSQ_ERR_SUCCESS;
}

void put_note(struct ft_client *client, struct file *file)
{
	enum upload_put_support told = file->upload.put;

	file->upload.put = UPLOAD_PUT_UNTOLD;
	if (told == UPLOAD_PUT_UNTOLD || told == client->put ||
	    client->put == UPLOAD_PUT_NOT_KNOWN)
		return;
	client->put = told;
	if (told == UPLOAD_PUT_KNOWN)
		return;
	for (struct file *other = client->active; other; other = other->next) {
		if (other->has_upload)
			upload_in_parts(&other->upload);
	}
	client_note(client, NULL, FT_CLIENT_IN_PARTS, "the broker does not know put (an older plugin, "
		    "or EMQX); sending small files by init, segments and fin, too");
}
