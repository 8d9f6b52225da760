#include "actions.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <capspawn.h>

int posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions)
{
	*actions = (posix_spawn_file_actions_t){0};
	return 0;
}

int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *actions)
{
	for (size_t i = 0; i < actions->count; i++)
		free(actions->actions[i].path);
	free(actions->actions);
	*actions = (posix_spawn_file_actions_t){0};
	return 0;
}

static int add(posix_spawn_file_actions_t *actions, struct capspawn_action action, const char *path)
{
	if (action.fd < 0 || action.from < 0)
		return EBADF;
	struct capspawn_action *more = realloc(actions->actions, (actions->count + 1) * sizeof *more);
	if (!more)
		return ENOMEM;
	actions->actions = more;
	if (path && !(action.path = strdup(path)))
		return ENOMEM;
	more[actions->count++] = action;
	return 0;
}

int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to)
{
	return add(actions, (struct capspawn_action){.step = DUPLICATE, .from = from, .fd = to}, NULL);
}

int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *actions, int fd)
{
	return add(actions, (struct capspawn_action){.step = CLOSE, .fd = fd}, NULL);
}

int posix_spawn_file_actions_addopen(
	posix_spawn_file_actions_t *restrict actions, int fd, const char *restrict path, int flags, mode_t mode)
{
	(void)mode;
	return add(actions, (struct capspawn_action){.step = OPEN, .fd = fd, .flags = flags}, path);
}

int posix_spawn_file_actions_addchdir(posix_spawn_file_actions_t *restrict actions, const char *restrict path)
{
	return add(actions, (struct capspawn_action){.step = DIRECTORY}, path);
}

int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *restrict actions, const char *restrict path)
{
	return posix_spawn_file_actions_addchdir(actions, path);
}

/* A directory of the component is none of the host, and has no path there. */
int posix_spawn_file_actions_addfchdir(posix_spawn_file_actions_t *actions, int fd)
{
	(void)actions;
	return fd < 0 ? EBADF : ENOTSUP;
}

int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *actions, int fd)
{
	return posix_spawn_file_actions_addfchdir(actions, fd);
}

int posix_spawnattr_init(posix_spawnattr_t *attributes)
{
	*attributes = (posix_spawnattr_t){0};
	return 0;
}

int posix_spawnattr_destroy(posix_spawnattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int posix_spawnattr_setflags(posix_spawnattr_t *attributes, short flags)
{
	if (flags & ~(short)0xff)
		return EINVAL;
	attributes->flags = flags;
	return 0;
}

int posix_spawnattr_getflags(const posix_spawnattr_t *restrict attributes, short *restrict flags)
{
	*flags = attributes->flags;
	return 0;
}

int posix_spawnattr_setpgroup(posix_spawnattr_t *attributes, pid_t group)
{
	attributes->group = group;
	return 0;
}

int posix_spawnattr_getpgroup(const posix_spawnattr_t *restrict attributes, pid_t *restrict group)
{
	*group = attributes->group;
	return 0;
}

int posix_spawnattr_setsigdefault(posix_spawnattr_t *restrict attributes, const sigset_t *restrict set)
{
	attributes->defaults = *set;
	return 0;
}

int posix_spawnattr_getsigdefault(const posix_spawnattr_t *restrict attributes, sigset_t *restrict set)
{
	*set = attributes->defaults;
	return 0;
}

int posix_spawnattr_setsigmask(posix_spawnattr_t *restrict attributes, const sigset_t *restrict set)
{
	attributes->mask = *set;
	return 0;
}

int posix_spawnattr_getsigmask(const posix_spawnattr_t *restrict attributes, sigset_t *restrict set)
{
	*set = attributes->mask;
	return 0;
}

/* The host decides on the scheduling of a child. */
int posix_spawnattr_setschedparam(
	posix_spawnattr_t *restrict attributes, const struct sched_param *restrict parameters)
{
	(void)attributes, (void)parameters;
	return ENOTSUP;
}

int posix_spawnattr_setschedpolicy(posix_spawnattr_t *attributes, int policy)
{
	(void)attributes, (void)policy;
	return ENOTSUP;
}

int capspawn_setattr_timeout(posix_spawnattr_t *attributes, uint64_t milliseconds)
{
	if (!milliseconds)
		return EINVAL;
	attributes->timeout_ns = milliseconds < UINT64_MAX / 1000000 ? milliseconds * 1000000 : UINT64_MAX;
	return 0;
}
