/* From the program that a caller names to the command that the host starts.
 *
 * A grant lists commands by name, and a component cannot see the list. The rule is: each command of
 * the grant is in every directory of the search path. So `git` and `/usr/bin/git` both start the
 * command `git`, unless the grant lists the path itself. `./x` begins at the child's directory. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include <stdbool.h>

/* The names to try in their order: at most two, NULL where there is no other. The strings belong to the caller. */
struct names {
	char *name[2];
};

/* Returns 0 or an error number. */
int program_names(const char *program, const char *directory, struct names *);

#endif
