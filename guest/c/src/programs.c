#include "programs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool in_path(const char *path, const char *directory, size_t length)
{
	while (*path) {
		size_t part = strcspn(path, ":");
		size_t size = part;
		while (size > 1 && path[size - 1] == '/')
			size--;
		if (size == length && !strncmp(path, directory, length))
			return true;
		path += part + (path[part] == ':');
	}
	return false;
}

static bool is_searched(const char *directory, size_t length)
{
	const char *path = getenv("PATH");
	return in_path("/usr/local/bin:/usr/bin:/bin", directory, length) || (path && in_path(path, directory, length));
}

int program_names(const char *program, const char *directory, struct names *names)
{
	*names = (struct names){0};
	if (!*program)
		return ENOENT;
	if (strlen(program) >= 4096)
		return ENAMETOOLONG;
	const char *slash = strrchr(program, '/');
	if (slash && !slash[1])
		return EACCES;
	if (!slash) {
		names->name[0] = strdup(program);
		return names->name[0] ? 0 : ENOMEM;
	}
	size_t length = slash == program ? 1 : (size_t)(slash - program);
	if (*program == '/') {
		names->name[0] = strdup(program);
		if (names->name[0] && is_searched(program, length))
			names->name[1] = strdup(slash + 1);
		return names->name[0] ? 0 : ENOMEM;
	}
	names->name[0] = strdup(program);
	if (names->name[0] && directory) {
		const char *rest = strncmp(program, "./", 2) ? program : program + 2;
		if (asprintf(&names->name[1], "%s/%s", directory, rest) < 0)
			names->name[1] = NULL;
	}
	return names->name[0] ? 0 : ENOMEM;
}
