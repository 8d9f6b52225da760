/* Errors of the host as errno values, and the reason of the last one in words. */
#ifndef ERRORS_H
#define ERRORS_H

#include "host.h"

/* What a refused start means. */
struct refusal {
	int number;
	/* The grant has no command of this name, so another name may be tried. */
	bool program, argument;
};

/* Also frees the error. */
struct refusal refusal_of(capspawn_process_spawn_error_code_t *);

#endif
