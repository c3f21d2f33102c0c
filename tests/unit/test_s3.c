/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is pure of the store s3: addresses, keys to sign with, answers. */
#include <check.h>
#include <string.h>

#include "store/s3/address.h"
#include "store/s3/credentials.h"
#include "store/s3/sign.h"
#include "store/s3/xml.h"
#include "../suite.h"

static char why[1024];

static bool parse(struct s3_address *address, const char *url, int style, const char *template)
{
	char urls[600], templates[600];
	struct ft_s3_settings settings = { .url = urls, .style = style, .key = template ? templates : NULL };
	struct ft_buf to = ft_buf_on(why, sizeof why);

	snprintf(urls, sizeof urls, "%s", url);
	snprintf(templates, sizeof templates, "%s", template ? template : "");
	memset(address, 0, sizeof *address);
	return s3_address_parse(address, &settings, &to);
}

/* --- addresses --- */

START_TEST(test_s3__urls_have_bucket_and_prefix)
{
	static const struct {
		const char *url;
		int style;
		const char *root, *prefix;
	} rows[] = {
		{ "https://h/b", FT_S3_PATH, "https://h/b", "" },
		{ "https://h/b/", FT_S3_PATH, "https://h/b", "" },
		{ "http://h:9000/b/a/c/", FT_S3_PATH, "http://h:9000/b", "a/c/" },
		{ "https://[::1]:7/b/a", FT_S3_PATH, "https://[::1]:7/b", "a/" },
		{ "https://b.h", FT_S3_HOST, "https://b.h", "" },
		{ "https://b.h/a/c", FT_S3_HOST, "https://b.h", "a/c/" },
	};
	struct s3_address a;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_msg(parse(&a, rows[i].url, rows[i].style, NULL), "%s: %s", rows[i].url, why);
		ck_assert_str_eq(a.root, rows[i].root);
		ck_assert_str_eq(a.prefix, rows[i].prefix);
	}
}
END_TEST

START_TEST(test_s3__refuses_urls_that_are_none)
{
	static const char *const urls[] = {
		"", "s3://b", "ftp://h/b", "https://", "https:///b", "https://h", "https://h/", "https://u:p@h/b",
		"https://h/b?x", "https://h/b#x", "https://h/b/a//c", "https://h/b/../c", "https://h/b/./c",
		"https://h/b/%41", "https://h/b/a c", "https://h/b/\xc3\xbc",
	};
	struct s3_address a;

	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		ck_assert_msg(!parse(&a, urls[i], FT_S3_PATH, NULL), "%s", urls[i]);
		ck_assert_ptr_nonnull(strstr(why, "plugin_opt_s3_url"));
	}
}
END_TEST

START_TEST(test_s3__keys_follow_the_template_and_are_read_back)
{
	static const struct {
		const char *template, *key;
	} rows[] = {
		{ NULL, "p/cam%2F1/f/n.txt" },
		{ "<client>/<file>/<name>", "p/cam%2F1/f/n.txt" },
		{ "<file>/<client>/<name>", "p/f/cam%2F1/n.txt" },
		{ "x/<client>/y/z/<file>/in/<name>", "p/x/cam%2F1/y/z/f/in/n.txt" },
	};
	const struct ft_key key = { "cam/1", 5, "f", 1 };
	char object[S3_KEY_ROOM], owner[FT_NAME_ROOM], file[FT_NAME_ROOM], name[FT_NAME_ROOM];
	struct s3_address a;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_msg(parse(&a, "https://h/b/p", FT_S3_PATH, rows[i].template), "%s", why);
		s3_address_key(&a, &key, "n.txt", object);
		ck_assert_str_eq(object, rows[i].key);
		ck_assert(s3_address_read(&a, object, owner, file, name));
		ck_assert_str_eq(owner, "cam%2F1");
		ck_assert_str_eq(file, "f");
		ck_assert_str_eq(name, "n.txt");
	}
}
END_TEST

START_TEST(test_s3__refuses_templates_that_could_mix_up_ids)
{
	static const char *const templates[] = {
		"<client>/<name>", "<file>/<name>", "<client>/<file>", "<client>-<file>/<name>",
		"<client>/<file>-<name>", "<client>/<client>/<name>", "<client>/<file>/<name>.bin",
		"<client>/<file>/<name>/<name>", "/<client>/<file>/<name>", "<client>//<file>/<name>",
		"../<client>/<file>/<name>", "<name>/<client>/<file>", "a?b/<client>/<file>/<name>",
	};
	struct s3_address a;

	for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
		ck_assert_msg(!parse(&a, "https://h/b", FT_S3_PATH, templates[i]), "%s", templates[i]);
		ck_assert_ptr_nonnull(strstr(why, "plugin_opt_s3_key"));
	}
}
END_TEST

START_TEST(test_s3__the_longest_ids_and_name_make_a_key)
{
	static char owner[65536], file[255], name[241 + sizeof S3_MANIFEST_SUFFIX];
	const struct ft_key key = { owner, sizeof owner, file, sizeof file };
	char object[S3_KEY_ROOM], room[600], url[S3_URL_ROOM];
	struct ft_buf to = ft_buf_on(url, sizeof url);
	struct s3_address a;

	memset(owner, 'o', sizeof owner);
	memset(file, 'f', sizeof file);
	memset(name, ' ', 240);
	memcpy(name + 240, S3_MANIFEST_SUFFIX, sizeof S3_MANIFEST_SUFFIX);
	snprintf(room, sizeof room, "https://h/b/%0250d", 0);
	ck_assert_msg(parse(&a, room, FT_S3_PATH, NULL), "%s", why);
	s3_address_key(&a, &key, name, object);
	s3_address_url(&a, object, NULL, &to);
	ck_assert(ft_buf_ok(&to));
	snprintf(room, sizeof room, "https://h/b/%0255d", 0);
	ck_assert(!parse(&a, room, FT_S3_PATH, NULL));
}
END_TEST

START_TEST(test_s3__keys_of_others_are_none_of_ours)
{
	static const char *const keys[] = {
		"", "p", "p/", "q/c/f/n", "p/c/f", "p/c/f/", "p/c/f/n/m", "p//f/n", "p/c//n",
	};
	char owner[FT_NAME_ROOM], file[FT_NAME_ROOM], name[FT_NAME_ROOM];
	struct s3_address a;

	ck_assert(parse(&a, "https://h/b/p", FT_S3_PATH, NULL));
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		ck_assert_msg(!s3_address_read(&a, keys[i], owner, file, name), "%s", keys[i]);
}
END_TEST

START_TEST(test_s3__urls_are_encoded_as_signatures_want_them)
{
	char room[S3_URL_ROOM], encoded[64];
	struct ft_buf url = ft_buf_on(room, sizeof room), to = ft_buf_on(encoded, sizeof encoded);
	struct s3_address a;

	ck_assert(parse(&a, "https://h/b", FT_S3_PATH, NULL));
	s3_address_url(&a, "c%2E/f/a b+\xc3\xbc~", "x=1", &url);
	ck_assert_str_eq(room, "https://h/b/c%252E/f/a%20b%2B%C3%BC~?x=1");
	s3_address_encode(&to, "a/b=c&");
	ck_assert_str_eq(encoded, "a%2Fb%3Dc%26");
}
END_TEST

START_TEST(test_s3__encoded_keys_are_taken_back)
{
	char good[] = "a%2fb+%2B%C3%BC", *bad[] = { (char[]){ "%" }, (char[]){ "a%2" }, (char[]){ "%zz" },
						  (char[]){ "%00" } };

	ck_assert(s3_address_decode(good));
	ck_assert_str_eq(good, "a/b +\xc3\xbc");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert(!s3_address_decode(bad[i]));
}
END_TEST

/* --- credentials --- */

static bool read_keys(struct s3_credentials *c, const char *text, const char *profile)
{
	struct ft_buf to = ft_buf_on(why, sizeof why);

	return s3_credentials_parse(c, text, strlen(text), profile, &to);
}

START_TEST(test_s3__keys_are_those_of_the_profile)
{
	static const char text[] =
		"# a comment\n[default]\naws_access_key_id = A\naws_secret_access_key=B=+/\n\r\n"
		"[profile two]\r\n  aws_access_key_id=C\r\naws_secret_access_key = D\r\n"
		"aws_session_token = T\r\nregion = x\n[three]\naws_access_key_id = E";
	struct s3_credentials c;

	ck_assert_msg(read_keys(&c, text, "default"), "%s", why);
	ck_assert_str_eq(c.id, "A");
	ck_assert_str_eq(c.secret, "B=+/");
	ck_assert_str_eq(c.token, "");
	ck_assert_msg(read_keys(&c, text, "two"), "%s", why);
	ck_assert_str_eq(c.id, "C");
	ck_assert_str_eq(c.secret, "D");
	ck_assert_str_eq(c.token, "T");
	ck_assert(!read_keys(&c, text, "three"));
	ck_assert(!read_keys(&c, text, "four"));
	ck_assert(!read_keys(&c, "", "default"));
}
END_TEST

/* Such a value could end the header that it goes into. */
START_TEST(test_s3__broken_keys_are_refused_and_not_shown)
{
	struct s3_credentials c;
	static char text[1000];

	ck_assert(!read_keys(&c, "[default]\naws_access_key_id=a b\naws_secret_access_key=hush", "default"));
	ck_assert(!read_keys(&c, "[default]\naws_access_key_id=\naws_secret_access_key=hush", "default"));
	ck_assert_ptr_null(strstr(why, "hush"));
	snprintf(text, sizeof text, "[default]\naws_access_key_id=%0300d\naws_secret_access_key=x", 0);
	ck_assert(!read_keys(&c, text, "default"));
}
END_TEST

/* --- URLs for others --- */

static bool sign(char *text, size_t room, const char *url, int style, const char *object,
		 const struct s3_signing *signing)
{
	struct ft_buf to = ft_buf_on(text, room);
	struct s3_address a;

	ck_assert_msg(parse(&a, url, style, NULL), "%s", why);
	return s3_sign_url(&a, object, signing, &to);
}

/* The example of AWS' "Authenticating Requests: Using Query Parameters". */
START_TEST(test_s3__urls_are_signed_as_aws_documents_it)
{
	static const struct s3_credentials keys = {
		.id = "AKIAIOSFODNN7EXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	};
	const struct s3_signing signing = { "us-east-1", &keys, 1369353600, 86400 };
	static const char *const urls[] = {
		"https://examplebucket.s3.amazonaws.com", "https://ExampleBucket.s3.amazonaws.com:443/",
	};
	char url[FT_STORE_URL_ROOM];

	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		ck_assert(sign(url, sizeof url, urls[i], FT_S3_HOST, "test.txt", &signing));
		ck_assert_str_eq(url, "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
				 "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
				 "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
				 "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	}
}
END_TEST

/* What it has to be is from another program (tests/lib/s3server.py). */
START_TEST(test_s3__urls_with_a_token_and_a_key_that_is_encoded_are_signed)
{
	static const struct s3_credentials keys = {
		.id = "test:tester", .secret = "secret/with+signs=", .token = "to+ken/==",
	};
	const struct s3_signing signing = { "eu-west-3", &keys, 1795916400, 1 };
	char url[FT_STORE_URL_ROOM];

	ck_assert(sign(url, sizeof url, "http://s3.example:9000/bucket", FT_S3_PATH,
		       "p/cam%2F1/f/a b+\xc3\xbc.txt", &signing));
	ck_assert_str_eq(url, "http://s3.example:9000/bucket/p/cam%252F1/f/a%20b%2B%C3%BC.txt"
			 "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
			 "&X-Amz-Credential=test%3Atester%2F20261129%2Feu-west-3%2Fs3%2Faws4_request"
			 "&X-Amz-Date=20261129T014000Z&X-Amz-Expires=1&X-Amz-Security-Token=to%2Bken%2F%3D%3D"
			 "&X-Amz-SignedHeaders=host"
			 "&X-Amz-Signature=e2c99335db44b9c4f631170cbfdf72b898e1fca28ca99bf300b614dd6103b1e6");
}
END_TEST

START_TEST(test_s3__the_longest_url_has_room_and_a_longer_one_is_none)
{
	static struct s3_credentials keys;
	const struct s3_signing signing = { "r", &keys, 0, 1 };
	static char object[S3_KEY_ROOM], url[FT_STORE_URL_ROOM];

	memset(keys.id, '+', sizeof keys.id - 1);
	memset(keys.secret, '+', sizeof keys.secret - 1);
	memset(keys.token, '+', sizeof keys.token - 1);
	memset(object, '+', sizeof object - 1);
	ck_assert(sign(url, sizeof url, "https://h/b", FT_S3_PATH, object, &signing));
	for (size_t room = 1; room <= strlen(url); room += room < 300 ? 1 : 997)
		ck_assert(!sign(url, room, "https://h/b", FT_S3_PATH, object, &signing));
}
END_TEST

/* --- XML --- */

struct seen {
	char text[1000];
	unsigned count, limit;
};

static bool see(void *context, const char *path, const char *text)
{
	struct seen *seen = context;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof seen->text - len, "%s=%s\n", path, text ? text : "-");
	return ++seen->count != seen->limit;
}

static enum ft_status read_xml(struct seen *seen, const char *text)
{
	memset(seen, 0, sizeof *seen);
	return s3_xml_each(text, strlen(text), see, seen);
}

START_TEST(test_s3__answers_are_elements_with_texts)
{
	struct seen seen;

	ck_assert_int_eq(read_xml(&seen, "<?xml version=\"1.0\"?>\n<!-- c --><a:L xmlns:a='x>y' b=\"/>\">\n <C><K>a&amp;"
				  "&#38;&#x26;&lt;&quot;&apos;&#xFC;</K><S>1</S></C><E/> </a:L>\n"), FT_OK);
	ck_assert_str_eq(seen.text, "L/C/K=a&&&<\"'\xc3\xbc\nL/C/S=1\nL/C=-\nL/E=\nL=-\n");
	ck_assert_int_eq(read_xml(&seen, "<A/>"), FT_OK);
	ck_assert_str_eq(seen.text, "A=\n");
}
END_TEST

START_TEST(test_s3__answers_that_are_none_are_refused)
{
	static const char *const texts[] = {
		"", "x", "<", "<a", "<a>", "<a></b>", "<a><b></a></b>", "<a></a>x", "<a></a><b></b>", "<a b></a>",
		"<a b=c></a>", "<a b=\"c></a>", "<!DOCTYPE a><a/>", "<a><![CDATA[x]]></a>", "<a>&b;</a>", "<a>&#0;</a>",
		"<a>&#xD800;</a>", "<a>&#x110000;</a>", "<a>&#12", "<a>&#zz;</a>", "<a><?x?></a>", "<?xml", "<a><!-- </a>",
		"<a><b><c><d><e><f><g><h><i/></h></g></f></e></d></c></b></a>", "<a></a", "</a>", "< a/>",
	};
	static char large[S3_XML_TEXT_ROOM + 10];
	struct seen seen;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_msg(read_xml(&seen, texts[i]) == FT_IO_ERROR, "%s", texts[i]);
	memset(large, 'x', sizeof large - 1);
	memcpy(large, "<a>", 3);
	ck_assert_int_eq(read_xml(&seen, large), FT_IO_ERROR);
}
END_TEST

START_TEST(test_s3__the_visitor_ends_the_answer)
{
	struct seen seen = { .limit = 1 };
	static const char text[] = "<a><b>1</b><b>2</b></a>";

	ck_assert_int_eq(s3_xml_each(text, strlen(text), see, &seen), FT_CANCELLED);
	ck_assert_str_eq(seen.text, "a/b=1\n");
}
END_TEST

/* Cut anywhere, and with each byte another one: no end but an orderly one. */
START_TEST(test_s3__broken_answers_end_in_order)
{
	static const char text[] = "<?xml v?><L a=\"b\"><C><K>a&amp;&#xFC;</K></C><!-- --></L>";
	char copy[sizeof text];
	struct seen seen;
	unsigned good = 0;

	for (size_t i = 0; i < sizeof text - 1; i++) {
		memcpy(copy, text, sizeof text);
		copy[i] = '\0';
		good += s3_xml_each(copy, i, see, &seen) == FT_OK;
		for (int c = 0; c < 256; c += 3) {
			memcpy(copy, text, sizeof text);
			copy[i] = (char)c;
			memset(&seen, 0, sizeof seen);
			good += s3_xml_each(copy, sizeof text - 1, see, &seen) == FT_OK;
		}
	}
	ck_assert_uint_gt(good, 0);
}
END_TEST

FT_SUITE("s3",
	test_s3__urls_have_bucket_and_prefix,
	test_s3__refuses_urls_that_are_none,
	test_s3__keys_follow_the_template_and_are_read_back,
	test_s3__refuses_templates_that_could_mix_up_ids,
	test_s3__the_longest_ids_and_name_make_a_key,
	test_s3__keys_of_others_are_none_of_ours,
	test_s3__urls_are_encoded_as_signatures_want_them,
	test_s3__encoded_keys_are_taken_back,
	test_s3__keys_are_those_of_the_profile,
	test_s3__broken_keys_are_refused_and_not_shown,
	test_s3__urls_are_signed_as_aws_documents_it,
	test_s3__urls_with_a_token_and_a_key_that_is_encoded_are_signed,
	test_s3__the_longest_url_has_room_and_a_longer_one_is_none,
	test_s3__answers_are_elements_with_texts,
	test_s3__answers_that_are_none_are_refused,
	test_s3__the_visitor_ends_the_answer,
	test_s3__broken_answers_end_in_order);
