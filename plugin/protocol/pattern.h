/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Which Response Topics clients may ask for (option `response_topics`).
 *
 * Patterns are MQTT topic filters, separated by commas, in which %c stands for the
 * client id and %u for the user name. Ids are matched as plain text: a client
 * called "#" does not become a wildcard.
 */
#ifndef FT_PROTOCOL_PATTERN_H
#define FT_PROTOCOL_PATTERN_H

#include <stdbool.h>

/*
 * What is wrong with patterns, in words that follow "<patterns>: ", or NULL (also for NULL).
 * A pattern that could name a command is wrong: the response would become one. Static storage.
 */
const char *ft_patterns_check(const char *patterns);

/*
 * Whether one of the patterns matches the topic. `user` NULL: no pattern with %u
 * matches. Topics with wildcards never match, topics that begin with '$' only
 * patterns that do.
 */
bool ft_patterns_match(const char *patterns, const char *topic, const char *client,
		       const char *user);

#endif
