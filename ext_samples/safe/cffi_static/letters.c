/* How often each byte value occurs in all the text fed so far: a C library with static state.
 *
 * Right: every function that touches the state holds the mutex.
 */
#include "letters.h"
#include <pthread.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  /* protects histogram */
static unsigned long long histogram[256];

void
feed(const unsigned char *text, size_t size)
{
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < size; i++) {
        histogram[text[i]]++;
    }
    pthread_mutex_unlock(&mutex);
}

unsigned long long
fed(void)
{
    unsigned long long total = 0;
    pthread_mutex_lock(&mutex);
    for (int value = 0; value < 256; value++) {
        total += histogram[value];
    }
    pthread_mutex_unlock(&mutex);
    return total;
}

void
reset(void)
{
    pthread_mutex_lock(&mutex);
    memset(histogram, 0, sizeof histogram);
    pthread_mutex_unlock(&mutex);
}
