/* system, which the C library of WASI need not declare. */
#ifndef CAPSPAWN_STDLIB_H
#define CAPSPAWN_STDLIB_H

#include_next <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

int system(const char *command);

#ifdef __cplusplus
}
#endif

#endif
