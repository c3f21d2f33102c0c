/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/aws_stream.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/cbor.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/utf8.h"

#define AWS_JSON_DEPTH_MAX 8
#define AWS_DATA_FIXED_ROOM 128		/* names and numbers of a data message */
#define AWS_ESCAPE_GROWTH 6		/* one byte as \u00XX */
#define AWS_BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* --- members of a request, in either encoding --- */

enum aws_key { KEY_TOKEN, KEY_VERSION, KEY_FILE, KEY_SIZE, KEY_OFFSET, KEY_COUNT, KEY_BITMAP, KEYS };

struct aws_members {
	enum ft_aws_encoding encoding;
	struct ft_json_member json[KEYS];
	struct ft_cbor_member cbor[KEYS];
};

enum aws_outcome {
	AWS_ABSENT,
	AWS_FOUND,
	AWS_WRONG,
};

/* Text beyond which arrays and objects are nested too deep; brackets in strings do not count. */
static bool aws_is_deep(const char *text, size_t len)
{
	bool quoted = false;
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
		if (depth > AWS_JSON_DEPTH_MAX)
			return true;
	}
	return false;
}

static enum ft_aws_verdict aws_find_json(struct aws_members *members, const void *payload,
					 size_t len)
{
	if (len >= FT_AWS_JSON_MAX)
		return FT_AWS_TOO_LONG;
	if (!ft_utf8_valid(payload, len) || aws_is_deep(payload, len))
		return FT_AWS_INVALID_JSON;
	switch (ft_json_find(payload, len, members->json, KEYS)) {
	case FT_JSON_OBJECT:
		return FT_AWS_OK;
	case FT_JSON_NO_OBJECT:
		return FT_AWS_NO_OBJECT;
	default:
		return FT_AWS_INVALID_JSON;
	}
}

static enum ft_aws_verdict aws_find_cbor(struct aws_members *members, const void *payload,
					 size_t len)
{
	if (len >= FT_AWS_CBOR_MAX)
		return FT_AWS_TOO_LONG;
	switch (ft_cbor_find(payload, len, members->cbor, KEYS)) {
	case FT_CBOR_MAP:
		return FT_AWS_OK;
	case FT_CBOR_NO_MAP:
		return FT_AWS_NO_OBJECT;
	default:
		return FT_AWS_INVALID_CBOR;
	}
}

static enum ft_aws_verdict aws_find(struct aws_members *members, const struct ft_aws_topic *topic,
				    const void *payload, size_t len)
{
	static const char *const keys[KEYS] = {
		[KEY_TOKEN] = "c", [KEY_VERSION] = "s", [KEY_FILE] = "f", [KEY_SIZE] = "l",
		[KEY_OFFSET] = "o", [KEY_COUNT] = "n", [KEY_BITMAP] = "b",
	};

	memset(members, 0, sizeof *members);
	members->encoding = topic->encoding;
	for (size_t i = 0; i < KEYS; i++)
		members->json[i].key = members->cbor[i].key = keys[i];
	if (len == 0 && topic->word == FT_AWS_DESCRIBE)
		return FT_AWS_OK;
	return topic->encoding == FT_AWS_JSON ? aws_find_json(members, payload, len)
					      : aws_find_cbor(members, payload, len);
}

static bool aws_is_absent(const struct aws_members *members, enum aws_key key)
{
	return members->encoding == FT_AWS_JSON ? members->json[key].value.len == 0
						: members->cbor[key].value.len == 0;
}

/* -1 is any negative one. */
static bool aws_read_json_integer(const struct ft_json_text *value, int64_t *integer)
{
	const struct ft_json_text digits = { .at = value->at + 1, .len = value->len - 1 };
	uint64_t number;

	if (ft_json_integer(value, INT64_MAX, &number)) {
		*integer = (int64_t)number;
		return true;
	}
	*integer = -1;
	return *value->at == '-' && ft_json_integer(&digits, INT64_MAX, &number);
}

static enum aws_outcome aws_read_integer(const struct aws_members *members, enum aws_key key,
					 int64_t *integer)
{
	bool found;

	if (aws_is_absent(members, key))
		return AWS_ABSENT;
	found = members->encoding == FT_AWS_JSON
			? aws_read_json_integer(&members->json[key].value, integer)
			: ft_cbor_integer(&members->cbor[key].value, integer);
	return found ? AWS_FOUND : AWS_WRONG;
}

static enum aws_outcome aws_read_token(const struct aws_members *members,
				       struct ft_aws_token *token)
{
	if (aws_is_absent(members, KEY_TOKEN))
		return AWS_ABSENT;
	token->given = members->encoding == FT_AWS_JSON
			       ? ft_json_string(&members->json[KEY_TOKEN].value, token->text,
						sizeof token->text, &token->len)
			       : ft_cbor_string(&members->cbor[KEY_TOKEN].value,
						FT_CBOR_MAJOR_TEXT, token->text, FT_AWS_TOKEN_MAX,
						&token->len);
	return token->given ? AWS_FOUND : AWS_WRONG;
}

/* --- bitmaps --- */

/* AWS's library sends this with every request, together with the token "rdy". */
static bool aws_is_placeholder(const struct ft_aws_request *request, const void *bytes, size_t len)
{
	return len == 4 && memcmp(bytes, "MQ==", 4) == 0 && request->token.len == 3
	       && memcmp(request->token.text, "rdy", 3) == 0;
}

static bool aws_take_hex(struct ft_aws_request *request, const char *digits, size_t len)
{
	if (len >= 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
		digits += 2;
		len -= 2;
	}
	if (len % 2 != 0)
		return false;
	request->bitmap_len = len / 2;
	return ft_hex_decode(request->bitmap, digits, len / 2 < FT_AWS_BITMAP_ROOM
							       ? len / 2 : FT_AWS_BITMAP_ROOM);
}

static bool aws_read_json_bitmap(struct ft_aws_request *request, const struct ft_json_text *value)
{
	char text[FT_AWS_JSON_MAX];
	size_t len;

	if (!ft_json_string(value, text, sizeof text, &len))
		return false;
	request->by_bitmap = !aws_is_placeholder(request, text, len);
	return !request->by_bitmap || aws_take_hex(request, text, len);
}

static bool aws_read_cbor_bitmap(struct ft_aws_request *request, const struct ft_cbor_item *value)
{
	uint8_t bytes[FT_AWS_CBOR_MAX];

	if (!ft_cbor_string(value, FT_CBOR_MAJOR_BYTES, bytes, sizeof bytes, &request->bitmap_len))
		return false;
	request->by_bitmap = !aws_is_placeholder(request, bytes, request->bitmap_len);
	memcpy(request->bitmap, bytes, request->bitmap_len < FT_AWS_BITMAP_ROOM
					       ? request->bitmap_len : FT_AWS_BITMAP_ROOM);
	return true;
}

/* A longer one than there is room for is cut, and its length says so. */
static enum aws_outcome aws_read_bitmap(const struct aws_members *members,
					struct ft_aws_request *request)
{
	bool found;

	if (aws_is_absent(members, KEY_BITMAP))
		return AWS_ABSENT;
	found = members->encoding == FT_AWS_JSON
			? aws_read_json_bitmap(request, &members->json[KEY_BITMAP].value)
			: aws_read_cbor_bitmap(request, &members->cbor[KEY_BITMAP].value);
	return found ? AWS_FOUND : AWS_WRONG;
}

/* --- requests --- */

/* Types first, then bounds, so that it makes no difference which member comes first. */
static enum ft_aws_verdict aws_read_get(const struct aws_members *members,
					struct ft_aws_request *request)
{
	int64_t file = 0, size = 0, version = 1, offset = 0, count = 0;

	if (aws_read_integer(members, KEY_FILE, &file) != AWS_FOUND || file < 0
	    || file > FT_AWS_FILE_MAX)
		return FT_AWS_INVALID_FILE;
	if (aws_read_integer(members, KEY_SIZE, &size) != AWS_FOUND
	    || aws_read_integer(members, KEY_VERSION, &version) == AWS_WRONG
	    || aws_read_integer(members, KEY_OFFSET, &offset) == AWS_WRONG
	    || aws_read_integer(members, KEY_COUNT, &count) == AWS_WRONG
	    || aws_read_bitmap(members, request) == AWS_WRONG)
		return FT_AWS_INVALID_MEMBER;
	if (version != 1)
		return FT_AWS_VERSION_MISMATCH;
	if (size < FT_AWS_BLOCK_MIN || size > FT_AWS_BLOCK_MAX)
		return FT_AWS_BLOCK_SIZE;
	if (offset < 0 || offset > FT_AWS_OFFSET_MAX)
		return FT_AWS_OFFSET;
	if (count < 0 || count > FT_AWS_COUNT_MAX)
		return FT_AWS_BLOCK_COUNT;
	if (request->by_bitmap && request->bitmap_len >= FT_AWS_BITMAP_ROOM)
		return FT_AWS_BITMAP;
	request->file = (uint8_t)file;
	request->block_size = (uint32_t)size;
	request->offset = (uint32_t)offset;
	request->count = (uint32_t)(count > 0 ? count : FT_AWS_ANSWER_BYTES / size);
	return FT_AWS_OK;
}

enum ft_aws_verdict ft_aws_request_parse(struct ft_aws_request *request,
					 const struct ft_aws_topic *topic, const void *payload,
					 size_t len)
{
	struct aws_members members;
	enum ft_aws_verdict verdict;

	memset(request, 0, sizeof *request);
	if ((verdict = aws_find(&members, topic, payload, len)) != FT_AWS_OK)
		return verdict;
	if (aws_read_token(&members, &request->token) == AWS_WRONG)
		return FT_AWS_INVALID_TOKEN;
	return topic->word == FT_AWS_GET ? aws_read_get(&members, request) : FT_AWS_OK;
}

/* --- which blocks --- */

size_t ft_aws_block_len(uint32_t block_size, uint32_t index, uint64_t size)
{
	uint64_t begin = (uint64_t)index * block_size;

	assert(begin < size);
	return size - begin < block_size ? (size_t)(size - begin) : block_size;
}

static bool aws_wants(const struct ft_aws_request *request, uint32_t bit)
{
	return !request->by_bitmap || (request->bitmap[bit / 8] >> bit % 8 & 1) != 0;
}

/* The highest bit that is set, and one; 0: none is. */
static uint32_t aws_bitmap_end(const struct ft_aws_request *request)
{
	uint32_t end = (uint32_t)request->bitmap_len * 8;

	while (end > 0 && !aws_wants(request, end - 1))
		end--;
	return end;
}

enum ft_aws_verdict ft_aws_choose(struct ft_aws_blocks *blocks,
				  const struct ft_aws_request *request, uint64_t size)
{
	uint64_t total = size / request->block_size + (size % request->block_size != 0);
	uint32_t end = request->by_bitmap ? aws_bitmap_end(request) : request->count;
	size_t left = FT_AWS_ANSWER_BYTES;

	blocks->count = 0;
	if (end == 0)
		return FT_AWS_EMPTY_BITMAP;
	if (request->offset >= total || (request->by_bitmap && request->offset + end > total))
		return FT_AWS_OUT_OF_RANGE;
	for (uint32_t bit = 0; bit < end && blocks->count < request->count; bit++) {
		uint32_t index = request->offset + bit;
		size_t len;

		if (index >= total)
			break;
		if (!aws_wants(request, bit))
			continue;
		len = ft_aws_block_len(request->block_size, index, size);
		if (len > left)
			break;
		left -= len;
		blocks->index[blocks->count++] = index;
	}
	return FT_AWS_OK;
}

/* --- writing --- */

/* An object that is being written: its members, which CBOR wants to know the number of. */
struct aws_object {
	struct ft_buf *to;
	enum ft_aws_encoding encoding;
	bool begun;
};

static struct aws_object aws_begin(struct ft_buf *to, enum ft_aws_encoding encoding, uint64_t count)
{
	if (encoding == FT_AWS_JSON)
		ft_buf_char(to, '{');
	else
		ft_cbor_put(to, FT_CBOR_MAJOR_MAP, count);
	return (struct aws_object){ .to = to, .encoding = encoding };
}

static void aws_end(struct aws_object *object)
{
	if (object->encoding == FT_AWS_JSON)
		ft_buf_char(object->to, '}');
}

static void aws_put_key(struct aws_object *object, const char *key)
{
	if (object->encoding == FT_AWS_CBOR) {
		ft_cbor_put_text(object->to, key, strlen(key));
		return;
	}
	ft_buf_str(object->to, object->begun ? ",\"" : "\"");
	ft_buf_str(object->to, key);
	ft_buf_str(object->to, "\":");
	object->begun = true;
}

static void aws_put_text(struct aws_object *object, const char *key, const char *text, size_t len)
{
	aws_put_key(object, key);
	if (object->encoding == FT_AWS_JSON)
		ft_buf_json(object->to, text, len);
	else
		ft_cbor_put_text(object->to, text, len);
}

static void aws_put_word(struct aws_object *object, const char *key, const char *word)
{
	aws_put_text(object, key, word, strlen(word));
}

static void aws_put_number(struct aws_object *object, const char *key, uint64_t number)
{
	aws_put_key(object, key);
	if (object->encoding == FT_AWS_JSON)
		ft_buf_u64(object->to, number);
	else
		ft_cbor_put(object->to, FT_CBOR_MAJOR_UINT, number);
}

static void aws_put_token(struct aws_object *object, const char *key,
			  const struct ft_aws_token *token)
{
	if (token->given)
		aws_put_text(object, key, token->text, token->len);
}

void ft_aws_write_rejected(struct ft_buf *to, const struct ft_aws_topic *topic,
			   const struct ft_aws_token *token, enum ft_aws_verdict verdict)
{
	static const struct {
		const char *code, *message;
	} rows[] = {
#define X(symbol, code, message) [symbol] = { code, message },
		FT_AWS_VERDICTS(X)
#undef X
	};
	struct aws_object object = aws_begin(to, topic->encoding, token->given ? 6 : 4);

	assert(verdict > FT_AWS_OK && verdict < FT_AWS_VERDICT_COUNT);
	aws_put_token(&object, "clientToken", token);
	aws_put_token(&object, "c", token);
	aws_put_word(&object, "code", rows[verdict].code);
	aws_put_word(&object, "o", rows[verdict].code);
	aws_put_word(&object, "message", rows[verdict].message);
	aws_put_word(&object, "m", rows[verdict].message);
	aws_end(&object);
}

void ft_aws_write_description(struct ft_buf *to, const struct ft_aws_topic *topic,
			      const struct ft_aws_token *token, const struct ft_aws_file *files,
			      size_t count)
{
	struct aws_object object = aws_begin(to, topic->encoding, token->given ? 4 : 3);

	assert(count <= FT_AWS_FILES_MAX);
	aws_put_token(&object, "c", token);
	aws_put_number(&object, "s", 1);
	aws_put_word(&object, "d", "");
	aws_put_key(&object, "r");
	if (topic->encoding == FT_AWS_JSON)
		ft_buf_char(to, '[');
	else
		ft_cbor_put(to, FT_CBOR_MAJOR_ARRAY, count);
	for (size_t i = 0; i < count; i++) {
		struct aws_object file;

		if (topic->encoding == FT_AWS_JSON && i > 0)
			ft_buf_char(to, ',');
		file = aws_begin(to, topic->encoding, 2);
		aws_put_number(&file, "f", files[i].file);
		aws_put_number(&file, "z", files[i].size);
		aws_end(&file);
	}
	if (topic->encoding == FT_AWS_JSON)
		ft_buf_char(to, ']');
	aws_end(&object);
}

static void aws_put_base64(struct ft_buf *to, const void *bytes, size_t len)
{
	/* It puts a NUL behind the text. */
	if (to->overflow || AWS_BASE64_LEN(len) >= to->room - to->len) {
		to->overflow = true;
		return;
	}
	to->len += (size_t)EVP_EncodeBlock((unsigned char *)to->text + to->len, bytes, (int)len);
}

size_t ft_aws_data_room(size_t len)
{
	return AWS_DATA_FIXED_ROOM + AWS_ESCAPE_GROWTH * FT_AWS_TOKEN_MAX + AWS_BASE64_LEN(len);
}

void ft_aws_write_data(struct ft_buf *to, const struct ft_aws_topic *topic,
		       const struct ft_aws_token *token, const struct ft_aws_block *block)
{
	struct aws_object object = aws_begin(to, topic->encoding, token->given ? 5 : 4);

	assert(block->len <= FT_AWS_BLOCK_MAX);
	aws_put_token(&object, "c", token);
	aws_put_number(&object, "f", block->file);
	aws_put_number(&object, "l", block->len);
	aws_put_number(&object, "i", block->index);
	aws_put_key(&object, "p");
	if (topic->encoding == FT_AWS_JSON) {
		ft_buf_char(to, '"');
		aws_put_base64(to, block->bytes, block->len);
		ft_buf_char(to, '"');
	} else {
		ft_cbor_put(to, FT_CBOR_MAJOR_BYTES, block->len);
		ft_buf_bytes(to, block->bytes, block->len);
	}
	aws_end(&object);
}
