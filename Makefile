# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
#	make			build the plugin and the examples
#	make demo		install what is missing, build, show a real upload in 15 seconds
#	make test		install what is missing, build, run every test
#	make unit		only the unit tests, in seconds
#	make test-engines	other machines: 32 bit, big-endian, musl, Mosquitto 2.1's headers, packages;
#				the page in a browser (ENGINES=web: that alone)
#	make web		the page for browsers, in $(BUILD)/web (npm); `make install` copies it, too
#	make deb		Debian packages of plugin and clients, in $(BUILD)/deb
#	make install		copy the plugin, ft-put, ft-get, ft-ctl and ft-job into the system (DESTDIR,
#				PREFIX, PLUGINDIR)
#	make uninstall		remove them
#	make check		floors, exported symbols, warnings of gcc and clang, shell scripts, tests
#				that docs/SECURITY.md names, files that docs and headers name, links
#	make sanitize		the C tests and the end-to-end tests under ASan+UBSan, then TSan
#	make valgrind		the C tests under valgrind
#	make coverage		every test with gcov's counters; fails below 95 % lines, 85 % branches
#	make test-matrix	the end-to-end tests on every broker version and setting
#	make test-mosquitto	Mosquitto's own broker tests: the same results with the plugin
#	make kill CYCLES=1000	kill -9 of a broker under load, and what it holds after each start
#	make crash SEEDS=100	the power fails at any file operation, in so many ways, simulated
#	make crash-mutants	each fsync left out in turn: has the simulation noticed?
#	make powercut ROUNDS=40	the power of a real file system fails under a real broker (root)
#	make model TIME=600	random sequences on a real broker against a model; SEED=N: that one
#	make soak TIME=120	5,000 clients, honest and hostile: speed, memory, descriptors
#	make rates CLIENTS=2000	so many clients, of whom each gets the share that its rate says
#	make soak-sanitize	the same for TIME=1800 seconds each under ASan+UBSan and TSan
#	make netns		ft-put on a bad link: 5 % loss, 1 Mbit/s (root)
#	make fuzz TIME=60	each fuzz target for so many seconds (clang)
#	make bench		every benchmark, side by side with nginx, vsftpd and tus
#	make bench-quick	the main ones, under 2 minutes
#	make clean		remove what was built
#
# All that is built goes to $(BUILD). SAN=address,undefined or SAN=thread builds with that
# sanitizer, UUID=none without libuuid, S3=none without `store s3`, POSTGRES=none
# without `catalog postgresql://...`; V=1 shows the commands.

CC ?= gcc
PREFIX ?= /usr/local
# Where the installed broker's own plugins are; asked for by `install` only.
PLUGINDIR ?= $(or $(shell scripts/plugindir),$(PREFIX)/lib)
VERSION := $(shell sed -n 's/^#define FT_VERSION "\(.*\)"/\1/p' include/file_transfer/version.h)
comma := ,
SAN ?=
BUILD ?= build$(if $(SAN),/san-$(firstword $(subst $(comma), ,$(SAN))))
# By one name, whoever calls: what depends on what is kept by names.
override BUILD := $(patsubst $(CURDIR)/%,%,$(BUILD))
V ?=
say = $(if $(V),,@echo "  $(1)	$(patsubst $(BUILD)/%,%,$@)";)

# Mosquitto 2.1's headers warn that 2.0's names for them, which serve both, are old: no-cpp. On
# 32-bit machines gcc tells of each struct that another gcc lays out otherwise: no-psabi.
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wconversion \
	-Wformat=2 -Wpointer-arith -Wcast-qual -Wundef -Walloca -Wno-cpp -Wno-psabi
# What a later compiler warns of must not keep anybody from building. WERROR=-Werror does.
WERROR ?=
CFLAGS ?= -O2 -g
# Its status tells: gcc prints something where the header is missing, too.
has_header = $(shell $(CC) $(CPPFLAGS) -E -include $(1) -x c /dev/null >/dev/null 2>&1 && echo yes)
# `libuuid` or `none`, which makes UUIDs of the kernel's random bytes.
UUID := $(or $(UUID),$(if $(call has_header,uuid/uuid.h),libuuid,none))
# `curl` or `none`: libcurl's header is needed for `store s3`, and libcurl itself only where that is used.
S3 := $(or $(S3),$(if $(call has_header,curl/curl.h),curl,none))
# `libpq` or `none`: the same for `catalog postgresql://...`. Debian has the header in a folder of its own.
PG_INCLUDE := $(addprefix -idirafter ,$(wildcard /usr/include/postgresql))
POSTGRES := $(or $(POSTGRES),$(if $(call has_header,libpq-fe.h $(PG_INCLUDE)),libpq,none))
# Files above 2 GiB and dates after 2038, on 32-bit machines too.
FT_CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -Iinclude -Iplugin \
	$(if $(filter libuuid,$(UUID)),-DFT_LIBUUID) $(if $(filter curl,$(S3)),-DFT_S3) \
	$(if $(filter libpq,$(POSTGRES)),-DFT_POSTGRES $(PG_INCLUDE)) -include plugin/base/banned.h $(CPPFLAGS)
# The folder that it is built in must not show in what is built.
FT_CFLAGS := -std=c11 $(WARNINGS) $(WERROR) -fPIC -fvisibility=hidden -pthread \
	'-fdebug-prefix-map=$(CURDIR)=.' $(CFLAGS) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# 64-bit atomics are functions of a library on these.
ATOMIC := $(if $(filter mips-% mipsel-% powerpc-% sparc-% m68k-% sh4-% arm%-gnueabi arm%-musleabi, \
	$(shell $(CC) -dumpmachine)),-latomic)
FT_LDLIBS := -Wl,--as-needed -lcjson -lcrypto $(if $(filter libuuid,$(UUID)),-luuid) -lsqlite3 \
	-lmosquitto -lpthread -ldl -lm $(ATOMIC) $(LDLIBS)

PLUGIN := $(BUILD)/mosquitto_file_transfer.so
ARCHIVE := $(BUILD)/libfile_transfer.a
SOURCES := $(sort $(wildcard plugin/*/*.c plugin/*/*/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
CTRL := $(BUILD)/mosquitto_ctrl_file-transfer.so
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/%,$(wildcard examples/ft-*.c)) $(CTRL)
TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c tests/contract/test_*.c \
	tests/property/test_*.c tests/fault/test_*.c tests/crash/test_*.c \
	tests/fuzz/test_*.c))

# As many as there are processors, where the caller has not said otherwise.
PARALLEL = $(if $(filter --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all plugin examples web tests demo unit test test-engines deb deps install uninstall \
	check check-floors bench bench-quick crash crash-mutants powercut fuzz kill rates soak soak-sanitize test-matrix \
	test-mosquitto model netns check-exports check-warnings check-shell check-claims check-paths check-links \
	sanitize valgrind coverage clean
.SECONDARY:

all: plugin examples
plugin: $(PLUGIN)
examples: $(EXAMPLES)
tests: $(TESTS) $(BUILD)/tests/client/driver

# The broker provides what is undefined here.
$(PLUGIN): $(OBJECTS) plugin/exports.map
	$(call say,LINK)$(CC) $(FT_CFLAGS) -shared -Wl,--version-script=plugin/exports.map \
		-Wl,-z,relro,-z,now,-z,nodelete -o $@ $(OBJECTS) $(LDFLAGS) $(FT_LDLIBS)

$(ARCHIVE): $(OBJECTS)
	$(call say,AR)rm -f $@ && $(AR) rcsD $@ $^

$(BUILD)/%.o: %.c
	$(call say,CC)mkdir -p $(@D) && $(CC) $(FT_CPPFLAGS) $(FT_CFLAGS) -MMD -MP -c -o $@ $< \
		2>$(@:.o=.said); status=$$?; cat $(@:.o=.said) >&2; exit $$status

# Whoever names what is to be built by its whole path.
$(CURDIR)/$(BUILD)/%: $(BUILD)/% ;

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(ARCHIVE)
	$(call say,LINK)$(CC) $(FT_CFLAGS) -o $@ $(filter %.o,$^) $(ARCHIVE) $(LDFLAGS) \
		$(WRAP) -lcheck -lsubunit -lrt $(FT_LDLIBS)

# The calls that tests/lib/calls.h makes fail: those of the plugin, by the names that the linker sees.
WRAPPED := malloc calloc realloc strdup strndup free EVP_MD_CTX_new EVP_MD_CTX_free EVP_MD_fetch \
	EVP_MD_free EVP_DigestInit_ex EVP_DigestUpdate EVP_MD_CTX_copy_ex EVP_DigestFinal_ex \
	pthread_create pthread_condattr_init pthread_mutex_init pthread_mutex_lock pthread_mutex_destroy \
	pthread_cond_init pthread_cond_signal pthread_cond_wait pthread_cond_destroy eventfd getrandom \
	sigaction openat64 open64 fcntl64 pwrite64 pread64 mkdirat mkdir access stat64 flock fchmod \
	fstat64 fstatat64 fstatvfs64 ftruncate64 fallocate64 renameat unlinkat sync_file_range fdopendir opendir \
	readdir64 mmap64 fsync fdatasync syncfs fchmodat tsearch mosquitto_property_add_byte mosquitto_property_add_string \
	mosquitto_property_add_binary

$(BUILD)/tests/fault/test_plugin_calls $(BUILD)/tests/fault/test_engine_calls \
	$(BUILD)/tests/fault/test_engine_admin_calls $(BUILD)/tests/fault/test_engine_job_calls \
	$(BUILD)/tests/fault/test_store_calls $(BUILD)/tests/fault/test_log_calls: \
	WRAP := $(WRAPPED:%=-Wl,--wrap=%)

$(BUILD)/tests/unit/test_catalog $(BUILD)/tests/unit/test_catalog_held \
	$(BUILD)/tests/unit/test_catalog_pages $(BUILD)/tests/unit/test_catalog_executions \
	$(BUILD)/tests/unit/test_catalog_open \
	$(BUILD)/tests/contract/test_catalog_postgres: $(BUILD)/tests/lib/catalog_rig.o
$(BUILD)/tests/fault/test_catalog_faults $(BUILD)/tests/crash/test_catalog_power \
	$(BUILD)/tests/fault/test_catalog_checkpoint: \
	$(patsubst %,$(BUILD)/tests/lib/%.o,catalog_rig catalog_story sqlite_tape sqlite_vfs)
$(BUILD)/tests/crash/test_catalog_power: WRAP := -Wl,--wrap=fsync
$(BUILD)/tests/fault/test_catalog_faults: WRAP := $(patsubst %,-Wl$(comma)--wrap=%,malloc \
	calloc realloc strdup strndup fsync openat64)

$(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_engine*.c tests/unit/test_writer*.c \
	tests/property/test_engine*.c tests/fault/test_engine*.c)): $(BUILD)/tests/lib/rig.o $(BUILD)/tests/lib/fake_store.o

$(BUILD)/ft-%: $(BUILD)/examples/ft-%.o
	$(call say,LINK)$(CC) $(FT_CFLAGS) -o $@ $(filter %.o,$^) $(LDFLAGS) $(FT_LDLIBS)

$(CTRL): $(BUILD)/examples/mosquitto_ctrl.o
	$(call say,LINK)$(CC) $(FT_CFLAGS) -shared -Wl,-z,relro,-z,now -o $@ $^ $(LDFLAGS)

$(BUILD)/ft-put $(BUILD)/ft-get $(BUILD)/ft-ctl $(BUILD)/tests/client/driver: FT_LDLIBS += -lssl -lpopt
EXAMPLES_LIB := $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/lib/*.c))
FT_PUT := $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/ft-put/*.c)) $(EXAMPLES_LIB)
$(BUILD)/ft-put $(BUILD)/tests/client/driver: $(FT_PUT)
$(BUILD)/ft-get: $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/ft-get/*.c)) $(EXAMPLES_LIB)
$(BUILD)/ft-ctl: $(patsubst %.c,$(BUILD)/%.o,$(wildcard examples/ft-ctl/*.c)) $(EXAMPLES_LIB)

$(BUILD)/tests/fuzz/test_corpora: $(patsubst %,$(BUILD)/examples/%.o,ft-get/wire_native ft-get/wire_aws \
	ft-get/place lib/members lib/sha256)

$(BUILD)/tests/bench/load: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/load*.c))
$(BUILD)/tests/soak/heap_probe.so: tests/soak/heap_probe.c
	$(call say,LINK)mkdir -p $(@D) && $(CC) $(FT_CPPFLAGS) $(FT_CFLAGS) -shared -o $@ $< -ldl
$(BUILD)/tests/soak/paced: $(patsubst %,$(BUILD)/tests/soak/%.o,swarm_peer swarm_tools)
$(BUILD)/tests/soak/swarm: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/soak/swarm*.c))

# The page. npm puts what the lock file names beside its sources.
WEB := $(BUILD)/web
WEB_SOURCES := $(wildcard examples/web/src/*.ts* examples/web/src/*/*.ts* examples/web/src/*.css examples/web/static/*)
web: $(WEB)/app.js
$(WEB)/app.js: $(WEB_SOURCES) examples/web/build.mjs examples/web/tsconfig.json examples/web/node_modules/.package-lock.json
	@cd examples/web && node_modules/.bin/tsc -p . && node build.mjs '$(abspath $(WEB))'
	@touch $@
examples/web/node_modules/.package-lock.json: examples/web/package-lock.json
	@scripts/deps web
	$(call say,NPM)cd examples/web && npm ci --silent --ignore-scripts && touch node_modules/.package-lock.json

deps:
	@scripts/deps build

demo:
	@scripts/deps demo
	@mkdir -p $(BUILD) && echo "building" && \
		{ $(MAKE) --no-print-directory all >$(BUILD)/demo.log 2>&1 || \
		{ cat $(BUILD)/demo.log; exit 1; }; }
	@scripts/demo $(BUILD)

# In seconds, for while one writes: neither brokers nor accidents.
unit:
	@scripts/deps test
	@$(MAKE) --no-print-directory $(PARALLEL) $(filter $(BUILD)/tests/unit/%,$(TESTS))
	@tests/run --build $(BUILD) --unit --kinds unit

test:
	@[ -d $(BUILD)/brokers ] || echo "make test: packages that are missing are installed; Mosquitto's" \
		"other versions and MQTT.js are fetched into $(BUILD), not into the system"
	@scripts/deps test
	@$(MAKE) --no-print-directory $(PARALLEL) all tests $(BUILD)/tests/bench/load \
		$(BUILD)/tests/soak/swarm $(BUILD)/tests/soak/paced $(BUILD)/tests/soak/heap_probe.so check
	@tests/run --build $(BUILD)

test-engines:
	@scripts/deps engines
	@tests/engines/run $(BUILD) $(ENGINES)

deb:
	@scripts/deps deb
	@scripts/deb $(BUILD)/deb

WEBDIR := $(PREFIX)/share/mosquitto-file-transfer/web
MAN1 := $(PREFIX)/share/man/man1
MAN7 := $(PREFIX)/share/man/man7
# A manual page names the version it belongs to.
man = sed '/^\.TH /s/"file transfer over MQTT"/"mosquitto-file-transfer $(VERSION)"/' $(1) >$(2) && \
	chmod 0644 $(2)

install: all
	install -d $(DESTDIR)$(PLUGINDIR) $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(MAN1) $(DESTDIR)$(MAN7)
	install -m 0644 $(PLUGIN) $(CTRL) $(DESTDIR)$(PLUGINDIR)/
	install -m 0755 $(BUILD)/ft-put $(BUILD)/ft-get $(BUILD)/ft-ctl examples/ft-job \
		$(DESTDIR)$(PREFIX)/bin/
	$(call man,examples/ft-put.1,$(DESTDIR)$(MAN1)/ft-put.1)
	$(call man,examples/ft-get.1,$(DESTDIR)$(MAN1)/ft-get.1)
	$(call man,examples/ft-ctl.1,$(DESTDIR)$(MAN1)/ft-ctl.1)
	$(call man,examples/ft-job.1,$(DESTDIR)$(MAN1)/ft-job.1)
	$(call man,packaging/mosquitto-file-transfer.7,$(DESTDIR)$(MAN7)/mosquitto-file-transfer.7)
	@[ ! -f $(WEB)/app.js ] || { install -d $(DESTDIR)$(WEBDIR) && \
		install -m 0644 $(WEB)/index.html $(WEB)/app.js $(WEB)/app.css $(DESTDIR)$(WEBDIR)/; }
	@echo "Now add to mosquitto.conf:"
	@echo "    plugin $(PLUGINDIR)/$(notdir $(PLUGIN))"
	@echo "    plugin_opt_storage_dir /var/lib/mosquitto/files"

uninstall:
	rm -f $(DESTDIR)$(PLUGINDIR)/$(notdir $(PLUGIN)) $(DESTDIR)$(PLUGINDIR)/$(notdir $(CTRL)) \
		$(patsubst %,$(DESTDIR)$(PREFIX)/bin/ft-%,put get ctl job) \
		$(patsubst %,$(DESTDIR)$(MAN1)/ft-%.1,put get ctl job) \
		$(DESTDIR)$(MAN7)/mosquitto-file-transfer.7 \
		$(addprefix $(DESTDIR)$(WEBDIR)/,index.html app.js app.css)

check: check-floors check-exports check-warnings check-shell check-claims check-paths check-links

check-floors:
	@scripts/check-floors

check-exports: $(PLUGIN)
	@scripts/check-exports $(PLUGIN)

# Both compilers, every file. What the first said of those that are built is kept with the objects.
BUILT := $(SOURCES) $(TESTS:$(BUILD)/%=%.c) $(wildcard examples/*.c examples/*/*.c)
UNBUILT := $(filter-out $(BUILT),$(wildcard tests/*/*.c))
check-warnings: $(BUILT:%.c=$(BUILD)/%.o)
	@scripts/check-warnings "$(CC)" $(BUILD) "$(BUILT)" "$(UNBUILT)" $(FT_CPPFLAGS) $(FT_CFLAGS)

check-claims:
	@scripts/check-claims

check-paths:
	@scripts/check-paths

check-links:
	@scripts/check-links

check-shell:
	@shellcheck -x $$(grep -rlE '^#(!.*(bash|/sh)| shellcheck shell=)' scripts tests examples .ci --include='*' \
		--exclude-dir=node_modules --exclude-dir=__pycache__)
	@echo "  SHELL	scripts are clean"

sanitize:
	@scripts/deps test
	@scripts/sanitize

valgrind:
	@scripts/deps test
	@$(MAKE) --no-print-directory tests
	@scripts/valgrind $(BUILD)

coverage:
	@scripts/deps cover
	@scripts/coverage

test-matrix:
	@scripts/deps test
	@$(MAKE) --no-print-directory all $(BUILD)/tests/client/driver
	@tests/matrix --build $(BUILD)

test-mosquitto:
	@scripts/deps test
	@$(MAKE) --no-print-directory plugin
	@tests/mosquitto-suite --build $(BUILD)

kill:
	@scripts/deps test
	@$(MAKE) --no-print-directory plugin
	@BUILD=$(BUILD) tests/soak/kill --cycles $(or $(CYCLES),1000) $(if $(SEED),--seed $(SEED))

crash crash-mutants:
	@scripts/deps test
	@$(MAKE) --no-print-directory $(BUILD)/tests/crash/test_store_crash
	@tests/crash/run --build $(BUILD) $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(filter crash-mutants,$@),--mutants)

powercut:
	@scripts/deps test
	@$(MAKE) --no-print-directory plugin
	@BUILD=$(BUILD) tests/crash/powercut --rounds $(or $(ROUNDS),40) $(if $(SEED),--seed $(SEED))

model:
	@scripts/deps test
	@$(MAKE) --no-print-directory plugin
	@BUILD=$(BUILD) tests/model/run $(if $(SEED),--seed $(SEED),--time $(or $(TIME),600))

soak:
	@scripts/deps test
	@$(MAKE) --no-print-directory plugin $(BUILD)/tests/soak/swarm $(BUILD)/tests/soak/heap_probe.so
	@tests/soak/run --build $(BUILD) --time $(or $(TIME),120) $(if $(SEED),--seed $(SEED))

rates:
	@scripts/deps test
	@$(MAKE) --no-print-directory plugin $(BUILD)/tests/soak/paced
	@tests/soak/rates --build $(BUILD) --clients $(or $(CLIENTS),2000) --time $(or $(TIME),30)

soak-sanitize:
	@scripts/deps test
	@$(MAKE) --no-print-directory $(BUILD)/tests/soak/swarm
	@tests/soak/sanitize $(BUILD) $(or $(TIME),1800)

netns:
	@scripts/deps netns
	@$(MAKE) --no-print-directory all $(BUILD)/tests/client/driver
	@tests/client/netns --build $(BUILD)

fuzz:
	@scripts/deps test
	@tests/fuzz/run $(or $(TIME),60)

bench bench-quick:
	@scripts/deps test
	@$(MAKE) --no-print-directory plugin $(BUILD)/tests/bench/load
	@tests/bench/run --build $(BUILD) $(if $(filter bench-quick,$@),--quick)

clean:
	rm -rf build

-include $(shell find $(BUILD)/plugin $(BUILD)/tests $(BUILD)/examples -name '*.d' -type f \
	2>/dev/null)
