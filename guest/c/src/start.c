/* Where a component starts, in the place of the C library's own file: that one ends with WASI 0.1's call. */
#include <stdlib.h>

extern void __wasm_call_ctors(void);
extern void __wasm_call_dtors(void);
extern int __main_void(void);

__attribute__((export_name("_start"))) void _start(void)
{
	__wasm_call_ctors();
	int code = __main_void();
	__wasm_call_dtors();
	if (code)
		_Exit(code);
}
