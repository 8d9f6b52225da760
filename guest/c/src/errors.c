#include "errors.h"
#include <capspawn.h>
#include <errno.h>
#include <stdio.h>

static char reason[256] = "nothing has failed";

const char *capspawn_reason(void)
{
	return reason;
}

static const char *const items[] = {"program", "argument", "environment", "working directory",
	"standard stream", "detaching"};

/* One row for each case of `error-code`. A command that the grant does not list is ENOENT and not EACCES:
 * for the component it does not exist, and a program that looks for an optional tool tests for ENOENT. */
static const struct {
	int number;
	const char *words;
} rows[] = {
	{EACCES, "the grant does not allow the %s"},
	{EAGAIN, "a quota of the grant or of the host is used up"},
	{ENOENT, "the granted program or its loader does not exist"},
	{ENOEXEC, "the program changed after the grant, or cannot run here"},
	{ENOENT, "the child sees no directory at this path"},
	{EINVAL, "the host does not accept a name, a value or a stream"},
	{E2BIG, "the arguments or variables are larger than the host accepts"},
	{ENOMEM, "the host has no memory for the child"},
	{EPERM, "the host cannot confine the program as the grant requires"},
	{EBADF, "the stream was taken before"},
	{EPIPE, "the child closed its end of the stream"},
	{ENOTSUP, "the host does not support this"},
	{EIO, "the host could not start the program"},
};

struct refusal refusal_of(capspawn_process_spawn_error_code_t *error)
{
	size_t row = error->tag < sizeof rows / sizeof *rows ? error->tag : sizeof rows / sizeof *rows - 1;
	struct refusal refusal = {.number = rows[row].number};
	const char *item = "";
	if (error->tag == CAPSPAWN_PROCESS_TYPES_ERROR_CODE_ACCESS_DENIED) {
		uint8_t denied = error->val.access_denied;
		item = denied < sizeof items / sizeof *items ? items[denied] : "request";
		refusal.program = denied == CAPSPAWN_PROCESS_TYPES_DENIED_ITEM_PROGRAM;
		refusal.argument = denied == CAPSPAWN_PROCESS_TYPES_DENIED_ITEM_ARGUMENT;
		if (refusal.program)
			refusal.number = ENOENT;
	}
	snprintf(reason, sizeof reason, rows[row].words, item);
	library_option_string_t *words = &error->val.other;
	if (error->tag == CAPSPAWN_PROCESS_TYPES_ERROR_CODE_OTHER && words->is_some)
		snprintf(reason, sizeof reason, "%.*s", (int)words->val.len, (char *)words->val.ptr);
	capspawn_process_types_error_code_free(error);
	return refusal;
}
