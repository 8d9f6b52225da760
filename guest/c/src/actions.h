/* What a program wants done to a child's descriptors before it starts. */
#ifndef ACTIONS_H
#define ACTIONS_H

#include <spawn.h>

struct capspawn_action {
	enum { DUPLICATE, CLOSE, OPEN, DIRECTORY } step;
	int fd, from, flags;
	char *path;
};

#endif
