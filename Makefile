# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# make            build the plugin and the examples
# make demo       install what is missing, build, show a real upload
# make test       install what is missing, build, run every test
# make install    copy the plugin to where Mosquitto's plugins live (PREFIX, DESTDIR)
# make check-*    single checks, see below; SAN=address|thread|undefined for sanitized builds
#
# Everything that is built goes to $(BUILD).

CC ?= gcc
SAN ?=
BUILD ?= build$(if $(SAN),/$(subst $(comma),-,$(SAN)))
comma := ,

WARN := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wconversion \
	-Wformat=2 -Wpointer-arith -Wcast-qual -Wundef -Walloca -Werror
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -Iplugin -include plugin/base/banned.h
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=c11 $(WARN) -fPIC -fvisibility=hidden -pthread $(CFLAGS) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
LDLIBS := -lcjson -lcrypto -luuid -lmosquitto -lpthread -ldl

PLUGIN := $(BUILD)/mosquitto_file_transfer.so
LIB := $(BUILD)/libft.a

# Floors 0 to 3, and the files of floor 4 that do not need the broker, can be linked into tests.
SRCS := $(wildcard plugin/*/*.c)
OBJS := $(SRCS:%.c=$(BUILD)/%.o)
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/ft-*.c))
TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c tests/contract/test_*.c \
	tests/property/test_*.c tests/fault/test_*.c))

.PHONY: all plugin examples tests clean
all: plugin examples
plugin: $(PLUGIN)
examples: $(EXAMPLES)
tests: $(TESTS)

$(PLUGIN): $(OBJS) plugin/exports.map
	$(CC) $(ALL_CFLAGS) -shared -Wl,--version-script=plugin/exports.map -Wl,-z,relro,-z,now -o $@ $(OBJS) $(LDFLAGS) $(LDLIBS)

$(LIB): $(OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIB)
	$(CC) $(ALL_CFLAGS) -o $@ $< $(LIB) $(LDFLAGS) -lcheck -lsubunit -lm -lrt $(LDLIBS)

$(BUILD)/examples/%: $(BUILD)/examples/%.o
	$(CC) $(ALL_CFLAGS) -o $@ $(filter %.o,$^) $(LDFLAGS) $(LDLIBS)

$(BUILD)/examples/ft-put: $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/ft-put/*.c))

clean:
	rm -rf build

-include $(shell find $(BUILD)/plugin $(BUILD)/tests $(BUILD)/examples -name '*.d' -type f 2>/dev/null)
