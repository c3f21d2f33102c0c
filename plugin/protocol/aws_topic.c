/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/aws_topic.h"

#include <string.h>

static const char aws_prefix[] = "$aws/things/", aws_streams[] = "streams";

static const char *const aws_words[] = {
	[FT_AWS_DESCRIBE] = "describe", [FT_AWS_GET] = "get",
	[FT_AWS_DESCRIPTION] = "description", [FT_AWS_DATA] = "data",
	[FT_AWS_REJECTED] = "rejected",
};

static const char *const aws_encodings[] = { [FT_AWS_JSON] = "json", [FT_AWS_CBOR] = "cbor" };

/* The index of a level among words; `count`: it is none of them. */
static size_t aws_find_word(const char *const words[], size_t count, const char *level, size_t len)
{
	size_t i = 0;

	while (i < count && (strlen(words[i]) != len || memcmp(words[i], level, len) != 0))
		i++;
	return i;
}

enum ft_aws_topic_kind ft_aws_topic_parse(struct ft_aws_topic *topic, const char *text)
{
	enum { THING, STREAMS, STREAM, WORD, ENCODING, LEVELS };
	const char *level[LEVELS];
	size_t len[LEVELS], word, encoding;
	const size_t words = sizeof aws_words / sizeof aws_words[0];

	if (strncmp(text, aws_prefix, sizeof aws_prefix - 1) != 0)
		return FT_AWS_TOPIC_FOREIGN;
	text += sizeof aws_prefix - 1;
	for (size_t i = 0; i < LEVELS; i++) {
		level[i] = text;
		len[i] = strcspn(text, "/");
		text += len[i];
		if (len[i] == 0 || *text != (i < LEVELS - 1 ? '/' : '\0'))
			return FT_AWS_TOPIC_FOREIGN;
		text++;
	}
	word = aws_find_word(aws_words, words, level[WORD], len[WORD]);
	encoding = aws_find_word(aws_encodings, 2, level[ENCODING], len[ENCODING]);
	if (len[STREAMS] != sizeof aws_streams - 1
	    || memcmp(level[STREAMS], aws_streams, sizeof aws_streams - 1) != 0 || word == words
	    || encoding == 2)
		return FT_AWS_TOPIC_FOREIGN;
	*topic = (struct ft_aws_topic){
		.thing = level[THING], .thing_len = len[THING],
		.stream = level[STREAM], .stream_len = len[STREAM],
		.word = (enum ft_aws_word)word, .encoding = (enum ft_aws_encoding)encoding,
	};
	return topic->word <= FT_AWS_GET ? FT_AWS_TOPIC_REQUEST : FT_AWS_TOPIC_ANSWER;
}

enum ft_aws_topic_kind ft_aws_topic_kind(const char *text)
{
	struct ft_aws_topic topic;

	return ft_aws_topic_parse(&topic, text);
}

void ft_aws_topic_write(struct ft_buf *to, const struct ft_aws_topic *topic, enum ft_aws_word word)
{
	ft_buf_str(to, aws_prefix);
	ft_buf_bytes(to, topic->thing, topic->thing_len);
	ft_buf_char(to, '/');
	ft_buf_str(to, aws_streams);
	ft_buf_char(to, '/');
	ft_buf_bytes(to, topic->stream, topic->stream_len);
	ft_buf_char(to, '/');
	ft_buf_str(to, aws_words[word]);
	ft_buf_char(to, '/');
	ft_buf_str(to, aws_encodings[topic->encoding]);
}

size_t ft_aws_path(char path[FT_AWS_PATH_ROOM], const struct ft_aws_topic *topic, uint8_t file)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_-";
	struct ft_buf to = ft_buf_on(path, FT_AWS_PATH_ROOM);

	if (topic->stream_len > FT_AWS_STREAM_MAX
	    || strspn(topic->stream, allowed) != topic->stream_len)
		return 0;
	ft_buf_str(&to, aws_streams);
	ft_buf_char(&to, '/');
	ft_buf_bytes(&to, topic->stream, topic->stream_len);
	ft_buf_char(&to, '/');
	ft_buf_u64(&to, file);
	return to.len;
}

bool ft_aws_path_is_cut(const char *path)
{
	const size_t prefix_len = sizeof aws_streams;	/* with its slash */

	return strncmp(path, aws_streams, prefix_len - 1) == 0 && path[prefix_len - 1] == '/'
	       && strcspn(path + prefix_len, "/") > FT_AWS_STREAM_SAFE;
}

bool ft_aws_parse_file(uint8_t *file, const char *text)
{
	unsigned number = 0;
	size_t len = strlen(text);

	if (len == 0 || len > 3 || (len > 1 && *text == '0'))
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		number = number * 10 + (unsigned)(*text - '0');
	*file = (uint8_t)number;
	return *text == '\0' && number <= FT_AWS_FILE_MAX;
}
