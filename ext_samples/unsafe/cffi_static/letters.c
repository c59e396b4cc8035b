/* How often each byte value occurs in all the text fed so far: a C library with static state.
 *
 * Wrong: two threads in feed() increment the same entries, and updates get lost.
 */
#include "letters.h"
#include <string.h>

static unsigned long long histogram[256];

void
feed(const unsigned char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        histogram[text[i]]++;  /* race */
    }
}

unsigned long long
fed(void)
{
    unsigned long long total = 0;
    for (int value = 0; value < 256; value++) {
        total += histogram[value];
    }
    return total;
}

void
reset(void)
{
    memset(histogram, 0, sizeof histogram);
}
