/* The end of the component with a code. WASI 0.1 over 0.2 reports success or failure and no more. */
#include "library.h"
#include <stdlib.h>
#include <unistd.h>

_Noreturn void _Exit(int code)
{
	wasi_cli_exit_exit_with_code(code & 0xff);
	__builtin_trap();
}

_Noreturn void _exit(int code)
{
	_Exit(code);
}
