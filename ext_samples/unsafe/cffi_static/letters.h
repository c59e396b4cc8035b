#include <stddef.h>

void feed(const unsigned char *text, size_t size);
unsigned long long fed(void);
void reset(void);
