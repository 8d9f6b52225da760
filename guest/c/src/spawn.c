/* posix_spawn: one request to the host, made of the actions and attributes of POSIX. */
#include "actions.h"
#include "children.h"
#include "errors.h"
#include "programs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* The environment that the operator gave the component. It is the component's own: a child receives of it what
 * the program changed, and what the grant sets. */
static char **given;

__attribute__((constructor)) static void remember_environment(void)
{
	size_t count = 0;
	while (environ && environ[count])
		count++;
	given = calloc(count + 1, sizeof *given);
	for (size_t i = 0; given && i < count; i++)
		given[i] = strdup(environ[i]);
}

static bool is_given(const char *variable)
{
	for (char **one = given; one && *one; one++)
		if (!strcmp(*one, variable))
			return true;
	return false;
}

/* The host takes text in UTF-8 and bytes apart, and ends a component that calls bytes text. */
static bool is_text(const char *string)
{
	for (const unsigned char *at = (const unsigned char *)string; *at;) {
		int more = *at < 0x80 ? 0 : *at >= 0xc2 && *at < 0xe0 ? 1 : (*at & 0xf0) == 0xe0 ? 2 : *at >= 0xf0 && *at < 0xf5 ? 3 : -1;
		if (more < 0)
			return false;
		uint32_t point = more == 0 ? *at : *at & (0x3f >> more);
		at++;
		for (int i = 0; i < more; i++, at++) {
			if ((*at & 0xc0) != 0x80)
				return false;
			point = point << 6 | (*at & 0x3f);
		}
		if ((more == 2 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) || (more == 3 && (point < 0x10000 || point > 0x10ffff)))
			return false;
	}
	return true;
}

static library_string_t text(const char *string)
{
	return (library_string_t){(uint8_t *)string, strlen(string)};
}

/* A descriptor that an action has changed. */
struct slot {
	int fd;
	/* NULL is closed. */
	struct description *description;
};

struct request {
	struct slot *slots;
	size_t count;
	const char *directory;
	/* Of descriptors 0 to 2; NULL where the child has nothing. */
	struct description *streams[3];
	enum { NOTHING, PIPED, CAPTURED, MERGED, HANDED_ON } kinds[3];
	capspawn_process_types_own_spawn_options_t options;
};

/* Returns what this number means for the child so far, with a reference, or NULL with an error number. */
static struct description *slot_find(struct request *request, int fd, int *error)
{
	for (size_t i = request->count; i--;)
		if (request->slots[i].fd == fd) {
			if (request->slots[i].description)
				return description_keep(request->slots[i].description);
			*error = EBADF;
			return NULL;
		}
	struct description *description = description_of(fd);
	if (description)
		return description_keep(description);
	description = description_of_file(fd);
	if (!description)
		*error = errno;
	return description;
}

static bool is_changed(struct request *request, int fd)
{
	for (size_t i = 0; i < request->count; i++)
		if (request->slots[i].fd == fd)
			return true;
	return false;
}

/* Takes the reference. */
static int slot_set(struct request *request, int fd, struct description *description)
{
	struct slot *more = realloc(request->slots, (request->count + 1) * sizeof *more);
	if (!more)
		return ENOMEM;
	request->slots = more;
	more[request->count++] = (struct slot){fd, description};
	return 0;
}

static struct description *open_for_child(const char *path, int flags, int *error)
{
	if (!strcmp(path, "/dev/null"))
		return description_new(NULL_DEVICE, NULL, NONE);
	int fd = open(path, flags, 0666);
	struct description *description = fd < 0 ? NULL : description_of_file(fd);
	if (!description) {
		*error = errno;
		return NULL;
	}
	/* The child's is the only use. */
	close(fd);
	return description;
}

static int apply(struct request *request, const struct capspawn_action *action)
{
	int error = 0;
	struct description *description;
	switch (action->step) {
	case DIRECTORY:
		request->directory = action->path;
		return 0;
	case CLOSE:
		return slot_set(request, action->fd, NULL);
	case DUPLICATE:
		description = slot_find(request, action->from, &error);
		break;
	default:
		description = open_for_child(action->path, action->flags, &error);
	}
	return description ? slot_set(request, action->fd, description) : error ? error : ENOMEM;
}

static bool same(struct description *one, struct description *other)
{
	if (!one || !other || one->kind != other->kind)
		return false;
	return one == other || (one->kind == WRITING ? one->pipe == other->pipe
						     : one->kind == FILE_OF_WASI && one->file == other->file);
}

static int find_streams(struct request *request)
{
	for (int fd = 0; fd < 3; fd++) {
		int ignored;
		/* What a child leaves unread of the component's input would be lost, so it is passed on only on
		 * request: by an action, or by a dup2 of the program. */
		if (fd || is_changed(request, 0) || description_of(0))
			request->streams[fd] = slot_find(request, fd, &ignored);
		struct description *stream = request->streams[fd];
		if (!stream || stream->kind == NULL_DEVICE)
			request->kinds[fd] = NOTHING;
		else if (stream->kind == (fd ? READING : WRITING))
			return EBADF;
		else
			request->kinds[fd] = PIPED;
	}
	bool explicit = is_changed(request, 1) || is_changed(request, 2) || description_of(1);
	if (request->kinds[1] == PIPED && explicit && same(request->streams[1], request->streams[2]))
		request->kinds[2] = MERGED;
	return 0;
}

/* Connects a pipe whose other end one child holds, without bytes through the component. */
static void hand_on(struct request *request)
{
	capspawn_process_spawn_error_code_t error;
	capspawn_process_types_borrow_spawn_options_t options =
		capspawn_process_types_borrow_spawn_options(request->options);
	if (request->kinds[0] == PIPED && request->streams[0]->kind == READING) {
		struct pipe *pipe = request->streams[0]->pipe;
		struct source *source = pipe->sources;
		if (source && !source->next && !source->taken && pipe->begin == pipe->end) {
			capspawn_process_spawn_borrow_child_t child =
				capspawn_process_spawn_borrow_child(source->child->handle);
			capspawn_process_types_own_pipe_reader_t reader;
			bool passed = source->number == 1
					      ? capspawn_process_spawn_method_child_pass_stdout(child, &reader, &error)
					      : capspawn_process_spawn_method_child_pass_stderr(child, &reader, &error);
			if (passed) {
				capspawn_process_types_method_spawn_options_set_stdin_pipe(options, reader);
				request->kinds[0] = HANDED_ON;
				source->taken = true;
				pipe->sources = NULL;
				source_close(source);
			} else {
				capspawn_process_types_error_code_free(&error);
			}
		}
	}
	for (int fd = 1; fd < 3; fd++) {
		if (request->kinds[fd] != PIPED || request->streams[fd]->kind != WRITING)
			continue;
		struct pipe *pipe = request->streams[fd]->pipe;
		if (!pipe->sink_child || pipe->sources || pipe->begin != pipe->end || request->kinds[2] == MERGED)
			continue;
		capspawn_process_types_own_pipe_writer_t writer;
		if (!capspawn_process_spawn_method_child_pass_stdin(
			    capspawn_process_spawn_borrow_child(pipe->sink_child->handle), &writer, &error)) {
			capspawn_process_types_error_code_free(&error);
			continue;
		}
		if (fd == 1)
			capspawn_process_types_method_spawn_options_set_stdout_pipe(options, writer);
		else
			capspawn_process_types_method_spawn_options_set_stderr_pipe(options, writer);
		request->kinds[fd] = HANDED_ON;
		child_sink_gone(pipe->sink_child);
		pipe->sink_child = NULL;
	}
}

static void set_streams(struct request *request)
{
	capspawn_process_types_borrow_spawn_options_t options =
		capspawn_process_types_borrow_spawn_options(request->options);
	static const uint8_t outputs[] = {CAPSPAWN_PROCESS_TYPES_STDIO_NULL, CAPSPAWN_PROCESS_TYPES_STDIO_PIPED,
		CAPSPAWN_PROCESS_TYPES_STDIO_CAPTURED, CAPSPAWN_PROCESS_TYPES_STDIO_MERGED};
	if (request->kinds[0] == PIPED) {
		capspawn_process_types_stdin_t piped = {.tag = CAPSPAWN_PROCESS_TYPES_STDIN_PIPED};
		capspawn_process_types_method_spawn_options_set_stdin(options, &piped);
	}
	if (request->kinds[1] != HANDED_ON)
		capspawn_process_types_method_spawn_options_set_stdout(options, outputs[request->kinds[1]]);
	if (request->kinds[2] != HANDED_ON)
		capspawn_process_types_method_spawn_options_set_stderr(options, outputs[request->kinds[2]]);
}

static int set_environment(struct request *request, char *const envp[])
{
	size_t count = 0;
	for (char *const *one = envp; one && *one; one++)
		count++;
	library_tuple2_string_list_u8_t *pairs = calloc(count + 1, sizeof *pairs);
	if (!pairs)
		return ENOMEM;
	library_list_tuple2_string_list_u8_t list = {pairs, 0};
	int error = 0;
	for (size_t i = 0; i < count; i++) {
		char *equals = strchr(envp[i], '=');
		if (!equals || is_given(envp[i]))
			continue;
		*equals = 0;
		bool named = is_text(envp[i]);
		*equals = '=';
		if (!named || equals == envp[i]) {
			error = EINVAL;
			break;
		}
		pairs[list.len].f0 = (library_string_t){(uint8_t *)envp[i], (size_t)(equals - envp[i])};
		pairs[list.len++].f1 = (library_list_u8_t){(uint8_t *)equals + 1, strlen(equals + 1)};
	}
	if (!error && list.len)
		capspawn_process_types_method_spawn_options_set_env_bytes(
			capspawn_process_types_borrow_spawn_options(request->options), &list);
	free(pairs);
	return error;
}

/* Starts the program under one name. Returns 0 or an error number. */
static struct refusal start(struct request *request, const char *name, char *const argv[],
	capspawn_process_spawn_own_child_t *child)
{
	capspawn_process_types_borrow_spawn_options_t options =
		capspawn_process_types_borrow_spawn_options(request->options);
	size_t count = 0;
	bool all_text = true;
	for (char *const *one = argv; *one && one[1]; one++, count++)
		all_text &= is_text(one[1]);
	if (!is_text(name))
		return (struct refusal){.number = ENOENT, .program = true};
	library_string_t *args = calloc(count + 1, sizeof *args), program = text(name);
	if (!args)
		return (struct refusal){.number = ENOMEM};
	for (size_t i = 0; i < count; i++)
		args[i] = text(argv[i + 1]);
	library_list_string_t list = {args, all_text ? count : 0};
	if (!all_text) {
		library_list_list_u8_t bytes = {(library_list_u8_t *)args, count};
		capspawn_process_types_method_spawn_options_set_args_bytes(options, &bytes);
	}
	capspawn_process_spawn_error_code_t error;
	struct refusal refusal = {0};
	if (!capspawn_process_spawn_static_child_spawn(&program, &list, &options, child, &error))
		refusal = refusal_of(&error);
	free(args);
	return refusal;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int start_any(struct request *request, const char *path, char *const argv[],
	const posix_spawnattr_t *attributes, capspawn_process_spawn_own_child_t *child)
{
	capspawn_process_types_borrow_spawn_options_t options =
		capspawn_process_types_borrow_spawn_options(request->options);
	if (attributes && attributes->timeout_ns)
		capspawn_process_types_method_spawn_options_set_timeout(options, attributes->timeout_ns);
	if (request->directory) {
		if (!is_text(request->directory))
			return ENOENT;
		library_string_t directory = text(request->directory);
		capspawn_process_types_method_spawn_options_set_cwd(options, &directory);
	}
	bool named = argv[0] && *argv[0] && strcmp(base_name(argv[0]), base_name(path)) && is_text(argv[0]);
	if (named) {
		library_string_t arg0 = text(argv[0]);
		capspawn_process_types_method_spawn_options_set_arg0(options, &arg0);
	}
	struct names names;
	struct refusal refusal = {.number = program_names(path, request->directory, &names)};
	for (int i = 0; !refusal.number && i < 2 && names.name[i]; i++) {
		refusal = start(request, names.name[i], argv, child);
		if (!refusal.number || !refusal.program)
			break;
		if (i == 0 && names.name[1])
			refusal.number = 0;
	}
	free(names.name[0]);
	free(names.name[1]);
	return refusal.number;
}

static void connect(struct request *request, struct child *child)
{
	for (int fd = 0; fd < 3; fd++) {
		struct description *stream = request->streams[fd];
		if (request->kinds[fd] != PIPED)
			continue;
		if (stream->kind == FILE_OF_WASI) {
			fd ? child_writes_file(child, fd, stream) : child_reads_file(child, stream);
		} else if (!fd) {
			child_reads_pipe(child, stream->pipe);
		} else {
			struct source **end = &stream->pipe->sources;
			while (*end)
				end = &(*end)->next;
			*end = child_output(child, fd);
		}
	}
}

static int spawn(struct request *request, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const envp[], pid_t *pid)
{
	int error = 0;
	for (size_t i = 0; actions && i < actions->count && !error; i++)
		error = apply(request, &actions->actions[i]);
	if (!error)
		error = find_streams(request);
	if (error)
		return error;
	request->options = capspawn_process_types_constructor_spawn_options();
	set_streams(request);
	hand_on(request);
	capspawn_process_spawn_own_child_t handle;
	error = set_environment(request, envp);
	if (!error)
		error = start_any(request, path, argv, attributes, &handle);
	capspawn_process_types_spawn_options_drop_own(request->options);
	if (error)
		return error;
	short flags = attributes ? attributes->flags : 0;
	bool leads = flags & POSIX_SPAWN_SETSID || (flags & POSIX_SPAWN_SETPGROUP && !attributes->group);
	struct child *child = child_add(handle, leads);
	connect(request, child);
	if (pid)
		*pid = child->pid;
	return 0;
}

int posix_spawn(pid_t *restrict pid, const char *restrict path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *restrict attributes, char *const argv[restrict], char *const envp[restrict])
{
	if (attributes && attributes->flags & (POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER))
		return ENOTSUP;
	struct request request = {0};
	int saved = errno;
	int error = spawn(&request, path, actions, attributes, argv, envp, pid);
	for (size_t i = 0; i < request.count; i++)
		if (request.slots[i].description)
			description_drop(request.slots[i].description);
	for (int fd = 0; fd < 3; fd++)
		if (request.streams[fd])
			description_drop(request.streams[fd]);
	free(request.slots);
	errno = saved;
	return error;
}

int posix_spawnp(pid_t *restrict pid, const char *restrict file, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *restrict attributes, char *const argv[restrict], char *const envp[restrict])
{
	return posix_spawn(pid, file, actions, attributes, argv, envp);
}
