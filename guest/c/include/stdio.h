/* popen and pclose, which the C library of WASI does not declare. */
#ifndef CAPSPAWN_STDIO_H
#define CAPSPAWN_STDIO_H

#include_next <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

FILE *popen(const char *command, const char *mode);
int pclose(FILE *stream);

#ifdef __cplusplus
}
#endif

#endif
